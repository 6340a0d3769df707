import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_instances import (
    INSTANCE_SPEC,
    NOTHING_KNOWN,
    Footprint,
    memory_budget,
    memory_mistakes,
    memory_remarks,
    merged,
    mistakes,
    remarks,
    without_secrets,
)
from workers import BARE, worker

MEBI = 2**20
SHOP = Footprint(main=200 * MEBI, child=20 * MEBI, peak=212 * MEBI)


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
        ({"max_tasks_per_child": 50, "pool": "gevent"}, "w: max_tasks_per_child works in the prefork pool only"),
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
    ("said", "limit"), [({"time_limit": "2min"}, "2min"), ({"settings": {"task_time_limit": 90}}, "90")]
)
def test_what_is_odd_is_remarked_on(said, limit):
    (found,) = remarks([worker(memory_max="1G", stop_timeout="1min", **said)])
    assert f"stop_timeout 1min is below time_limit {limit}" in found


def test_a_worker_of_root_is_remarked():
    (found,) = remarks([worker(memory_max="1G", user="root")])
    assert found.startswith("w: its tasks run as root")


def test_workers_without_a_fence_are_remarked_on_together():
    (found,) = remarks([worker(name="mail"), worker(name="scraping"), worker(name="fenced", memory_max="1G")])
    assert found.startswith("mail, scraping: no memory_max")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"max_memory_per_child": "212M"}, "max_memory_per_child 212M is not above the 212M that a child has once"),
        (
            {"memory_max": "239M", "concurrency": 2},
            "memory_max 239M is below the 240M that the worker has once the application is imported"
            " (200M for the main process, 20M more for each of 2 children).",
        ),
    ],
)
def test_limits_below_what_the_application_needs_are_mistakes(said, sentence):
    (found,) = memory_mistakes(worker(**said), SHOP)
    assert found.startswith(sentence)


def test_a_pool_without_children_needs_memory_for_one_process():
    (found,) = memory_mistakes(worker(pool="threads", concurrency=50, memory_max="199M"), Footprint(200 * MEBI, 0, 0))
    assert (
        "is below the 200M that the worker has once the application is imported (200M for the main process)." in found
    )


def test_limits_that_the_application_can_keep_are_none():
    assert not list(memory_mistakes(worker(max_memory_per_child="213M", memory_max="220M"), SHOP))
    assert not list(memory_mistakes(worker(), SHOP))
    assert not list(memory_mistakes(worker(memory_max="220M", concurrency=None), SHOP))
    assert not list(memory_mistakes(worker(max_memory_per_child="1M", memory_max="1M"), NOTHING_KNOWN))


def test_children_that_the_kernel_may_end_first_are_remarked_on():
    four = worker(concurrency=4, max_memory_per_child="300M", memory_max="631M")
    (found,) = memory_remarks(four, SHOP)
    assert found.startswith(
        "memory_max 631M is below the 632M that the worker has when each of its 4 children is as large"
    )
    assert not list(memory_remarks({**four, "memory_max": "632M"}, SHOP))
    assert not list(memory_remarks({**four, "memory_max": None}, SHOP))


def test_two_workers_need_two_names_and_two_nodes():
    twice = "is given to 2 workers. Give each its own."
    found = list(mistakes([worker(node_name="n@%h"), worker(node_name="n@%h")]))
    assert found == [f"name 'w' {twice}", f"node_name 'n@%h' {twice}"]


def test_the_budget_is_shown_when_it_is_overdrawn():
    fences = {"training": "3G", "scraping": "900M", "mail": None}
    workers = [worker(name=name, memory_max=fence) for name, fence in fences.items()]
    assert memory_budget(workers, 512 * MEBI, 8 * 1024 * MEBI) is None
    assert memory_budget(workers, 512 * MEBI, 3800 * MEBI).splitlines() == [
        "The workers' memory_max and what is reserved are more than the machine's memory:",
        "  training                  3072M",
        "  scraping                   900M",
        "  mail                   no limit",
        "  reserved for the rest      512M",
        "  -------------------------------",
        "  needed                    4484M",
        "  the machine has           3800M",
        "  missing                    684M",
    ]


def test_workers_without_a_fence_have_no_budget():
    assert memory_budget([worker()], 512 * MEBI, 256 * MEBI) is None


def test_secrets_are_struck_out():
    workers = [merged({**worker(), "environment": json.dumps({"URL": "redis://:pass word@host/0", "HOUR": 3})})]
    assert without_secrets("failed: redis://:pass word@host/0 at 3", workers) == "failed: ******** at 3"


def test_a_password_is_struck_out_where_it_stands_alone():
    workers = [merged({**worker(), "environment": json.dumps({"URL": "amqp://me:geheim-geheim@host/0"})})]
    assert without_secrets("geheim-geheim was refused", workers) == "******** was refused"
