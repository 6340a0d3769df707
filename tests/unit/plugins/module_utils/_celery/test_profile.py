"""What profiles choose: it fits the machine, and what is set wins."""

import pytest
from ansible_collections.evenkeel.celery.plugins.filter.with_encoded_environment import with_encoded_environment
from ansible_collections.evenkeel.celery.plugins.module_utils._celery import errors as options_errors
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.memory import (
    Footprint,
    memory_budget,
    memory_warnings,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import complete
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.profile import (
    errors,
    lines,
    warnings,
    with_profiles,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._common.machine import Machine
from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import parse_size
from hypothesis import given
from hypothesis import strategies as st

MIB = 2**20
RESERVED = 512 * MIB
# As the photo album's guide has it.
ALBUM = {
    "machines": [
        {"memory": "0", "concurrency": 1, "environment": {"AI_BATCH_SIZE": 20}},
        {"memory": "4G", "concurrency": 2, "environment": {"AI_BATCH_SIZE": 100}},
        {"memory": "16G", "concurrency": 4, "environment": {"AI_BATCH_SIZE": 500}},
    ]
}


def machine(mebi, processors=2):
    return Machine(mebi * MIB, processors)


def asked(name="w", **options):
    given_options = {"name": name, "app": "shop", "directory": "/srv/shop", **options}
    return complete(with_encoded_environment(given_options))


def chosen(on, **options):
    (instance,) = with_profiles([asked(**options)], on, RESERVED)
    return instance


@pytest.mark.parametrize(
    ("mebi", "concurrency", "batch"),
    [
        (906, 1, 20),  # a Raspberry Pi with 1 GB
        (1963, 1, 20),
        (3794, 2, 100),  # a Raspberry Pi with 4 GB
        (3891, 2, 100),  # a server with 3.8 GB
        (7810, 2, 100),
        (15300, 4, 500),  # 16 GB, of which the graphics processor has some
        (64100, 4, 500),
    ],
)
def test_the_largest_entry_counts_that_the_machine_is_large_enough_for(mebi, concurrency, batch):
    instance = chosen(machine(mebi), profile=ALBUM)
    assert (instance["concurrency"], instance["environment"]) == (concurrency, {"AI_BATCH_SIZE": batch})


@pytest.mark.parametrize(
    ("on", "profile", "concurrency", "memory_max", "child"),
    [
        (machine(2048, 1), {"task_memory": "512M"}, 1, "794M", "666M"),
        (machine(4096, 2), {"task_memory": "512M"}, 2, "1460M", "666M"),
        (machine(4096, 8), {"task_memory": "512M"}, 5, "3458M", "666M"),
        (machine(4096, 8), {"task_memory": "512M", "max_concurrency": 3}, 3, "2126M", "666M"),
        (machine(16384, 8), {"task_memory": "6G", "max_concurrency": 1}, 1, "8116M", "7988M"),
        (machine(512, 8), {"task_memory": "512M"}, 1, "794M", "666M"),  # does not fit: memory_budget() says so
        (machine(4096, 2), {"task_memory": "512M", "main_memory": "1G"}, 2, "2356M", "666M"),
        (machine(4096, 8), {"max_concurrency": 3}, 3, None, None),
        (machine(4096, 2), {"max_concurrency": 3}, 2, None, None),
        (machine(4096, 2), {}, 1, None, None),
    ],
)
def test_limits_follow_from_a_task_and_the_machine(on, profile, concurrency, memory_max, child):
    instance = chosen(on, profile=profile)
    found = [instance[option] for option in ("concurrency", "memory_max", "max_memory_per_child")]
    assert found == [concurrency, memory_max, child]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"concurrency": 3}, {"concurrency": 3, "memory_max": "2126M"}),
        ({"autoscale": [3, 1]}, {"autoscale": [3, 1], "memory_max": "2126M"}),
        ({"memory_max": "1G"}, {"concurrency": 1, "memory_max": "1G"}),
        ({"memory_max": "2G"}, {"concurrency": 2, "memory_max": "2G"}),
        ({"memory_max": "500M"}, {"concurrency": 1, "memory_max": "500M", "max_memory_per_child": "500M"}),
        ({"max_memory_per_child": "300M"}, {"concurrency": 2, "max_memory_per_child": "300M"}),
        ({"pool": "threads"}, {"concurrency": 2, "memory_max": "1460M", "max_memory_per_child": None}),
        ({"pool": "solo"}, {"concurrency": 1, "memory_max": "794M", "max_memory_per_child": None}),
    ],
)
def test_an_option_that_is_set_wins_and_the_others_follow_from_it(options, found):
    instance = chosen(machine(4096), profile={"task_memory": "512M"}, **options)
    assert found.items() <= instance.items()
    assert not options.keys() & instance["chosen"].keys()


def test_a_worker_that_waits_may_have_more_tasks_than_processors():
    assert chosen(machine(4096), pool="gevent", profile={"max_concurrency": 100})["concurrency"] == 100


def test_an_entry_counts_less_than_an_option_and_more_than_the_formula():
    profile = {"task_memory": "512M", "machines": [{"memory": 0, "concurrency": 1, "environment": {"A": 1, "B": 2}}]}
    instance = chosen(machine(4096), profile=profile, environment={"B": 3, "C": None})
    assert (instance["concurrency"], instance["memory_max"]) == (1, "794M")
    assert instance["environment"] == {"A": 1, "B": 3, "C": None}
    assert instance["chosen"]["environment"] == {"A": 1}


def test_workers_share_the_machine():
    """Imagineer's, with the memory that their queues have in its table."""
    workers = [
        asked("default", profile={"task_memory": "200M", "max_concurrency": 2}),
        asked("training", profile={"task_memory": "5G", "max_concurrency": 1}),
        asked("scraping", profile={"task_memory": "700M", "max_concurrency": 2}),
        asked("labeling", profile={"task_memory": "150M", "max_concurrency": 4}),
        asked("other", memory_max="256M"),
    ]
    large, small = ([w["concurrency"] for w in with_profiles(workers, machine(g * 1024, 8), RESERVED)] for g in (16, 9))
    assert large == [2, 1, 2, 4, 1]
    assert small == [1, 1, 1, 1, 1]


def test_what_was_chosen_is_shown_without_the_environments_values():
    profile = {**ALBUM, "task_memory": "500M"}
    profile["machines"] = [{**entry, "environment": {"SECRET_KEY": "geheim"}} for entry in ALBUM["machines"]]
    workers = with_profiles([asked(profile=profile), asked("plain")], machine(3891), RESERVED)
    assert list(lines(workers, machine(3891))) == [
        "w: concurrency 2, memory_max 1428M, max_memory_per_child 650M, environment SECRET_KEY"
        " (3891M of memory, 2 processors)"
    ]


def test_a_machine_that_is_too_small_for_each_entry_gets_a_warning():
    workers = [asked(profile={"machines": [{"memory": "16G"}, {"memory": "4G"}]})]
    (warning,) = warnings(workers, machine(2048))
    assert warning.startswith(
        "w: profile: machines has no entry for less than 4G, but this machine has 2048M of memory"
    )
    assert not list(warnings(workers, machine(4096)))


@pytest.mark.parametrize(
    ("profile", "sentence"),
    [
        ({"task_memory": "much"}, "profile: task_memory 'much' is not a size"),
        ({"task_memory": "0"}, "profile: task_memory 0 is too small. Write what a task needs, such as 500M."),
        ({"task_memory": "1", "max_concurrency": 0}, "profile: task_memory 1 is too small"),
        ({"max_concurrency": 0}, "profile: max_concurrency 0 is too small. Use 1 or more."),
        ({"machines": [{"memory": "4GG"}]}, "profile: memory '4GG' is not a size"),
        ({"machines": [{"memory": "4G", "concurrency": 0}]}, "profile: concurrency 0 is too small. Use 1 or more."),
        ({"machines": [{"memory": "4G", "memory_max": "x"}]}, "profile: memory_max 'x' is not a size"),
    ],
)
def test_a_profile_that_is_not_valid_is_refused(profile, sentence):
    (instance,) = with_profiles([asked(profile=profile)], machine(64), RESERVED)
    assert next(errors(instance)).startswith(sentence)
    assert f"w: {sentence}" in "\n".join(options_errors.errors([instance]))


SIZES = st.integers(1, 20_000).map("{}M".format)
PROFILES = st.fixed_dictionaries(
    {},
    optional={
        "task_memory": SIZES,
        "max_concurrency": st.integers(1, 40),
        "main_memory": SIZES,
        "machines": st.lists(
            st.fixed_dictionaries({"memory": SIZES}, optional={"memory_max": SIZES}),
            max_size=3,
        ),
    },
)
WORKERS = st.lists(
    st.fixed_dictionaries(
        {"profile": PROFILES},
        optional={
            "concurrency": st.integers(1, 40),
            "memory_max": SIZES,
            "pool": st.sampled_from(("prefork", "threads", "solo", "gevent")),
        },
    ),
    min_size=1,
    max_size=5,
)
MACHINES = st.builds(machine, st.integers(64, 200_000), st.integers(1, 64))


@given(WORKERS, MACHINES)
def test_it_fits_or_each_worker_has_a_single_child(wishes, on):
    workers = [asked(str(number), **wish) for number, wish in enumerate(wishes)]
    found = with_profiles(workers, on, RESERVED)
    by_formula = [worker for worker in found if not worker["profile"].get("machines")]
    sized = [worker for worker in by_formula if {"concurrency", "memory_max"} <= worker["chosen"].keys()]
    assert not memory_budget(found, RESERVED, on.memory) or all(worker["concurrency"] == 1 for worker in sized)


@given(WORKERS, MACHINES)
def test_there_are_no_more_children_than_processors_and_than_allowed(wishes, on):
    for worker in with_profiles([asked(str(n), **wish) for n, wish in enumerate(wishes)], on, RESERVED):
        if "concurrency" in worker["chosen"] and worker["pool"] != "gevent":
            most = worker["profile"].get("max_concurrency", on.processors)
            assert 1 <= worker["concurrency"] <= min(on.processors, most)


@given(WORKERS, MACHINES)
def test_what_is_set_stays(wishes, on):
    for wish, worker in zip(wishes, with_profiles([asked(str(n), **w) for n, w in enumerate(wishes)], on, RESERVED)):
        assert all(worker[option] == value for option, value in wish.items() if option != "profile")


@given(SIZES, MACHINES, st.integers(0, 100))
def test_a_larger_machine_has_no_less(task, on, more):
    def concurrency(on):
        return chosen(on, profile={"task_memory": task})["concurrency"]

    assert concurrency(on) <= concurrency(machine(on.memory // MIB + more * 100, on.processors))
    assert concurrency(on) <= concurrency(on._replace(processors=on.processors + more))


@given(SIZES, MACHINES)
def test_celery_replaces_a_child_before_the_kernel_kills_it(task, on):
    worker = chosen(on, profile={"task_memory": task})
    footprint = Footprint(main=100 * MIB, child=20 * MIB, peak=30 * MIB)
    assert not list(memory_warnings(worker, footprint))
    assert parse_size(worker["max_memory_per_child"]) >= parse_size(task)


def test_beats_have_no_profile():
    (found,) = with_profiles([complete({"name": "b", "app": "shop", "directory": "/srv"}, "beat")], machine(4096), 0)
    assert not found["chosen"]
