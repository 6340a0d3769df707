"""What was found in order, as a reader of the check sees it."""

from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import checked
from workers import beat, worker

ALL_WELL = {
    "absent": [],
    "closed": {},
    "roots": [0, []],
    "uri": "redis://localhost:6379/0",
    "results_uri": "redis://localhost:6379/1",
    "footprint": [40 * 2**20, 10 * 2**20, 30 * 2**20],
}


def test_each_subject_has_a_line():
    instance = worker(user="www-data", writable_paths=["/srv/shop/data"], concurrency=2, memory_max="800M")
    assert list(checked.lines(instance, ALL_WELL)) == [
        "user www-data can run /usr/bin/celery in /srv/shop, and it loads shop, with the environment and in the sandbox"
        " that it will have",
        "user www-data can write to /srv/shop/data",
        "the broker redis://localhost:6379/0 answers",
        "the result backend redis://localhost:6379/1 answers",
        "before its first task, it uses 60M of memory; its limit is 800M",
    ]


def test_a_beat_has_no_children_and_may_write_nowhere():
    about = list(checked.lines(beat(memory_max=None), {**ALL_WELL, "footprint": [40 * 2**20, 0, 0]}))
    assert about[-1] == "before its first task, it uses 40M of memory"
    assert not [line for line in about if "write" in line]


def test_what_could_not_be_checked_is_not_said_to_be_in_order():
    assert not list(checked.lines(worker(writable_paths=["/srv"]), {"not_started": "systemd is busy"}))
    silent = {**ALL_WELL, "broker": "refused", "results": "refused"}
    assert not [line for line in checked.lines(worker(), silent) if "answers" in line]
