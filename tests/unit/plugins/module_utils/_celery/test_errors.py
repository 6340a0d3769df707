"""What is said of workers by their options alone."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.errors import errors, warnings
from workers import worker


def test_the_defaults_are_accepted():
    assert list(errors([worker()])) == []


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"memory_max": "much"}, "w: memory_max 'much' is not a size"),
        ({"watchdog": "soon"}, "w: watchdog 'soon' is not a duration"),
        ({"memory_high": "900M", "memory_max": "800M"}, "w: memory_high 900M must be below memory_max 800M"),
        ({"soft_time_limit": "2h", "time_limit": "1h"}, "w: soft_time_limit 2h must be below time_limit 1h"),
        ({"max_memory_per_child": "1G", "memory_max": "800M"}, "w: max_memory_per_child 1G is above memory_max 800M"),
        ({"max_memory_per_child": "1G", "pool": "threads"}, "w: max_memory_per_child works in the prefork pool only"),
        ({"max_tasks_per_child": 50, "pool": "gevent"}, "w: max_tasks_per_child works in the prefork pool only"),
        ({"directory": "srv"}, "w: directory 'srv' is not an absolute path"),
        ({"concurrency": 0}, "w: concurrency 0 is too small"),
        ({"name": "w.service"}, "w.service: name is not a unit's name"),
        ({"settings": {"timezone": "UTC"}}, "w: settings: 'timezone' can't be set on Celery's command line"),
        ({"environment": {"A-B": "1"}}, "w: environment: 'A-B' is not a variable's name"),
        ({"environment": {"DEBUG": True}}, "w: environment: DEBUG is not a string. Put its value in quotes"),
        ({"environment": {"CELERY_WORKER_INCLUDE": "x"}}, "w: environment: CELERY_WORKER_INCLUDE would be overridden"),
        ({"settings": {"include": "shop.reports"}}, "w: settings: include 'shop.reports' is not a list of modules"),
        ({"settings": {"broker_url": "redis://:pw@host/0"}}, "w: settings: 'broker_url' holds a password"),
        ({"settings": {"security_key_password": "x"}}, "w: settings: 'security_key_password' holds a password"),
        ({"app": None}, "w: app is required. Set it for this worker or in celery_worker_defaults"),
        ({"watchdog": "100ms"}, "w: watchdog 100ms is shorter than a second"),
    ],
)
def test_an_error_names_option_value_and_what_is_accepted(said, sentence):
    (found,) = errors([worker(**said)])
    assert found.startswith(sentence)


@pytest.mark.parametrize("name", ["..", ".", "-x", "a/b", "a:b", "template@", ""])
def test_a_name_makes_a_unit_and_a_directory_of_its_own(name):
    assert any("name is not a unit's name" in error for error in errors([worker(name=name)]))


@pytest.mark.parametrize(
    ("said", "limit"), [({"time_limit": "2min"}, "2min"), ({"settings": {"task_time_limit": 90}}, "90")]
)
def test_a_stop_timeout_below_the_time_limit_is_warned_of(said, limit):
    (found,) = warnings([worker(memory_max="1G", stop_timeout="1min", **said)])
    assert f"stop_timeout 1min is below time_limit {limit}" in found


def test_a_worker_of_root_is_warned_of():
    (found,) = warnings([worker(memory_max="1G", user="root")])
    assert found.startswith("w: its tasks run as root")


def test_workers_without_a_memory_limit_are_warned_of_together():
    (found,) = warnings([worker(name="mail"), worker(name="scraping"), worker(name="limited", memory_max="1G")])
    assert found.startswith("mail, scraping: memory_max is not set")


def test_two_workers_need_two_names_and_two_nodes():
    twice = "is given to 2 workers. Give each its own."
    found = list(errors([worker(node_name="n@%h"), worker(node_name="n@%h")]))
    assert found == [f"name 'w' {twice}", f"node_name 'n@%h' {twice}"]
