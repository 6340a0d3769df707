import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_instances import (
    INSTANCE_SPEC,
    memory_budget,
    merged,
    mistakes,
    remarks,
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
        ({"environment": {"DEBUG": True}}, "w: environment: DEBUG is not a text. Put its value in quotes"),
        ({"environment": {"CELERY_WORKER_INCLUDE": "x"}}, "w: environment: CELERY_WORKER_INCLUDE would be overruled"),
        ({"settings": {"include": "shop.reports"}}, "w: settings: include 'shop.reports' is not a list of modules"),
        ({"settings": {"broker_url": "redis://:pw@host/0"}}, "w: settings: 'broker_url' holds a password"),
        ({"settings": {"security_key_password": "x"}}, "w: settings: 'security_key_password' holds a password"),
        ({"app": None}, "w: app is not said. Say it for this worker, or for all in celery_worker_defaults"),
        ({"watchdog": "100ms"}, "w: watchdog 100ms is shorter than a second"),
    ],
)
def test_a_mistake_names_option_value_and_what_is_accepted(said, sentence):
    (found,) = mistakes([worker(**said)])
    assert found.startswith(sentence)


@pytest.mark.parametrize("name", ["..", ".", "-x", "a/b", "a:b", "template@", ""])
def test_a_name_makes_a_unit_and_a_directory_of_its_own(name):
    assert any("name is not a unit's name" in mistake for mistake in mistakes([worker(name=name)]))


@pytest.mark.parametrize(
    ("said", "remark"),
    [
        ({"concurrency": 4, "max_memory_per_child": "300M", "memory_max": "1G"}, "4 children of 300M each"),
        ({"user": "root"}, "w: its tasks run as root"),
        ({"stop_timeout": "1min", "time_limit": "2min"}, "stop_timeout 1min is below time_limit 2min"),
    ],
)
def test_what_is_odd_is_remarked_on(said, remark):
    (found,) = remarks([worker(**said)])
    assert remark in found


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


def test_a_password_is_struck_out_where_it_stands_alone():
    workers = [merged({**worker(), "environment": json.dumps({"URL": "amqp://me:geheim-geheim@host/0"})})]
    assert without_secrets("geheim-geheim was refused", workers) == "******** was refused"
