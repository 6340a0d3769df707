import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_instances import (
    INSTANCE_SPEC,
    memory_budget,
    merged,
    mistakes,
    without_secrets,
)
from workers import BARE, worker


def test_the_roles_defaults_and_the_modules_options_are_the_same():
    assert {*BARE, "name", "app", "directory"} == set(INSTANCE_SPEC)


def test_the_defaults_hold_no_mistake():
    assert list(mistakes([worker()])) == []


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"memory_max": "much"}, "w: memory_max 'much' is not a size"),
        ({"watchdog": "soon"}, "w: watchdog 'soon' is not a duration"),
        ({"memory_high": "900M", "memory_max": "800M"}, "w: memory_high 900M must be below memory_max 800M"),
        ({"soft_time_limit": "2h", "time_limit": "1h"}, "w: soft_time_limit 2h must be below time_limit 1h"),
        ({"max_memory_per_child": "1G", "memory_max": "800M"}, "w: max_memory_per_child 1G is above memory_max 800M"),
        ({"max_memory_per_child": "1G", "pool": "threads"}, "w: max_memory_per_child works in the prefork pool only"),
        ({"directory": "srv"}, "w: directory 'srv' is not an absolute path"),
        ({"concurrency": 0}, "w: concurrency 0 is below 1"),
        ({"name": "w.service"}, "w.service: name is not a unit's name"),
        ({"settings": {"timezone": "UTC"}}, "w: settings: 'timezone' can't be set on Celery's command line"),
        ({"environment": {"A-B": "1"}}, "w: environment: 'A-B' is no name of a variable"),
        ({"watchdog": "100ms"}, "w: watchdog 100ms is shorter than a second"),
    ],
)
def test_a_mistake_names_option_value_and_what_is_accepted(said, sentence):
    (found,) = mistakes([worker(**said)])
    assert found.startswith(sentence)


def test_two_workers_need_two_names_and_two_nodes():
    twice = "is given to 2 workers. Give each its own."
    found = list(mistakes([worker(node_name="n@%h"), worker(node_name="n@%h")]))
    assert found == [f"name 'w' {twice}", f"node_name 'n@%h' {twice}"]


def test_the_budget_is_shown_when_it_is_overdrawn():
    workers = [worker(name="training", memory_max="3G"), worker(name="scraping", memory_max="1G")]
    assert memory_budget(workers, 512 * 2**20, 8 * 2**30) is None
    table = memory_budget(workers, 512 * 2**20, 4 * 2**30)
    assert "training" in table
    assert "4.5G" in table


def test_secrets_are_struck_out():
    workers = [merged({**worker(), "environment": json.dumps({"URL": "redis://:pass word@host/0", "HOUR": 3})})]
    assert without_secrets("failed: redis://:pass word@host/0 at 3", workers) == "failed: ******** at 3"
