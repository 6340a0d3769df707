"""Memory limits, compared with what an application needs and what the machine has."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.memory import (
    NOTHING_KNOWN,
    Footprint,
    memory_budget,
    memory_errors,
    memory_warnings,
)
from workers import worker

MEBI = 2**20
SHOP = Footprint(main=200 * MEBI, child=20 * MEBI, peak=212 * MEBI)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_memory_per_child": "212M"}, "max_memory_per_child 212M is not above the 212M that a child uses once"),
        (
            {"memory_max": "239M", "concurrency": 2},
            "memory_max 239M is below the 240M that the service uses once the application is imported"
            " (200M for the main process, 20M more for each of 2 children).",
        ),
        (
            {"memory_max": "239M", "autoscale": [2, 1]},
            "memory_max 239M is below the 240M that the service uses once the application is imported"
            " (200M for the main process, 20M more for each of 2 children).",
        ),
    ],
)
def test_limits_below_what_the_application_needs_are_errors(options, sentence):
    (found,) = memory_errors(worker(**options), SHOP)
    assert found.startswith(sentence)


def test_a_pool_without_children_needs_memory_for_one_process():
    (found,) = memory_errors(worker(pool="threads", concurrency=50, memory_max="199M"), Footprint(200 * MEBI, 0, 0))
    assert (
        "is below the 200M that the service uses once the application is imported (200M for the main process)." in found
    )


def test_limits_above_what_the_application_needs_are_no_errors():
    assert not list(memory_errors(worker(max_memory_per_child="213M", memory_max="220M"), SHOP))
    assert not list(memory_errors(worker(), SHOP))
    assert not list(memory_errors(worker(memory_max="220M", concurrency=None), SHOP))
    assert not list(memory_errors(worker(max_memory_per_child="1M", memory_max="1M"), NOTHING_KNOWN))


def test_children_that_the_kernel_may_kill_before_celery_replaces_them_get_a_warning():
    four = worker(concurrency=4, max_memory_per_child="300M", memory_max="631M")
    (found,) = memory_warnings(four, SHOP)
    assert found.startswith(
        "memory_max 631M is below the 632M that the worker uses when each of its 4 children has grown to"
    )
    assert not list(memory_warnings({**four, "memory_max": "632M"}, SHOP))
    assert not list(memory_warnings({**four, "memory_max": None}, SHOP))


def test_the_budget_is_shown_when_it_is_exceeded():
    limits = {"training": "3G", "scraping": "900M", "mail": None}
    workers = [worker(name=name, memory_max=limit) for name, limit in limits.items()]
    assert memory_budget(workers, 512 * MEBI, 8 * 1024 * MEBI) is None
    assert memory_budget(workers, 512 * MEBI, 3800 * MEBI).splitlines() == [
        "The services' memory_max and the reserve are together more than the machine's memory:",
        "  training                  3072M",
        "  scraping                   900M",
        "  mail                   no limit",
        "  reserved for the rest      512M",
        "  -------------------------------",
        "  needed                    4484M",
        "  the machine has           3800M",
        "  missing                    684M",
    ]


def test_other_services_of_the_host_have_their_part_of_the_budget():
    workers, others = [worker(memory_max="1G")], {"photos (a worker of project 'album')": 2048 * MEBI}
    assert memory_budget(workers, 512 * MEBI, 3584 * MEBI, others) is None
    table = memory_budget(workers, 512 * MEBI, 3583 * MEBI, others)
    assert "The services' memory_max, that of the host's other services and the reserve are together more than" in table
    assert "  photos (a worker of project 'album')     2048M\n" in table


def test_workers_without_a_memory_limit_have_no_budget():
    assert memory_budget([worker()], 512 * MEBI, 256 * MEBI) is None
