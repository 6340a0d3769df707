"""The hard time limits that only the application knows."""

from types import SimpleNamespace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import probe_program, time_limits
from workers import worker


@pytest.mark.parametrize(
    ("of_all_tasks", "of_one_task", "found"),
    [
        (None, [None], [0, 0]),
        (1800, [None, 60], [1800, 60]),
        (659.5, [7200.0, None], [660, 7200]),
        (float("inf"), ["soon", -1, float("nan")], [0, 0]),
        (10**30, [], [2**31, 0]),
    ],
)
def test_the_probe_reads_the_limits_of_the_application_and_of_its_tasks(of_all_tasks, of_one_task, found):
    tasks = {number: SimpleNamespace(time_limit=limit) for number, limit in enumerate(of_one_task)}
    app = SimpleNamespace(conf=SimpleNamespace(task_time_limit=of_all_tasks), tasks=tasks)
    assert probe_program.time_limits(app) == found


@pytest.mark.parametrize(
    ("options", "found", "seconds"),
    [
        ({}, {"time_limits": [1500, 60]}, 1500),
        ({}, {"time_limits": [60, 1500]}, 1500),
        ({"time_limit": "1min"}, {"time_limits": [1500, 0]}, 0),  # overridden on the command line
        ({"time_limit": "1min"}, {"time_limits": [0, 1500]}, 1500),
        ({}, {"time_limits": [2**31, 0]}, 86400),
        ({}, {}, 0),
    ],
)
def test_the_longest_that_counts_is_found(options, found, seconds):
    assert time_limits.of_application(worker(**options), found) == seconds


def test_a_limit_of_more_than_a_day_is_not_followed_silently():
    found = {"time_limits": [172_800, 0]}
    (warning,) = time_limits.warnings(worker(), found)
    assert "the application sets a time limit of 172800 s" in warning
    assert warning.endswith("Set stop_timeout.")
    assert not list(time_limits.warnings(worker(stop_timeout="3d"), found))
