"""What is sent for a job that was reset."""

from __future__ import annotations

import uuid

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.actions import RESET
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import read_database
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.change import Recorded
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.tasks import countdown, new_id, tasks_for
from hypothesis import given
from hypothesis import strategies as st

CELERY = {"app": "shop", "directory": "/srv/shop", "python": "/srv/shop/bin/python", "task_id_column": "task"}
OLD = uuid.UUID("4b4b0ec6-4b77-4d44-9cf2-8f5f0a8f2a4c")


def database(**requeue):
    requeue = {"task": "shop.make", **requeue}
    options = {"name": "jobs", "path": "/srv/jobs.db", "table": "jobs", "attempts_column": "tries"}
    return read_database({**options, "celery": CELERY, "requeue": requeue})


def task(old=None, new=None, tries=0, key=7, **requeue):
    job = Recorded("jobs", RESET, {"id": key}, {"task": old}, {"task": new}, {"id": key, "task": old, "tries": tries})
    (sent,) = tasks_for(database(**requeue), [job])
    return sent


def test_the_id_is_filled_in_at_any_depth_of_the_arguments():
    sent = task(args=["{id}", {"jobs": ["{id}", "job {id}"]}], kwargs={"job": "{id}"}, queue="slow")
    assert sent == {"name": "shop.make", "args": [7, {"jobs": [7, "job 7"]}], "kwargs": {"job": 7}, "queue": "slow"}


@pytest.mark.parametrize("like", [str(OLD), OLD.hex, OLD.bytes, None, "", "task-7", 7])
def test_a_new_id_has_the_form_of_the_old_one_and_is_sent_in_celerys_own(like):
    new = new_id(like)
    assert isinstance(new, bytes if isinstance(like, bytes) else str)
    assert len(new) == (len(like) if like in (OLD.hex, OLD.bytes) else 36)
    assert new != new_id(like)
    sent = task(like, new)["task_id"]
    assert sent == str(uuid.UUID(sent))
    assert uuid.UUID(sent).bytes == (new if isinstance(new, bytes) else uuid.UUID(new).bytes)


@pytest.mark.parametrize(
    ("old", "revoked"),
    [
        *((str(OLD), [str(OLD)]), (OLD.hex, [OLD.hex, str(OLD)]), (OLD.bytes, [OLD.hex, str(OLD)])),
        *(("task-7", ["task-7"]), (7, ["7"]), ("", []), (None, [])),
    ],
)
def test_the_old_task_is_revoked_by_each_id_that_it_may_have(old, revoked):
    assert task(old, revoke=True)["revoke"] == revoked
    assert "revoke" not in task(old)


@pytest.mark.parametrize(
    ("wanted", "tries", "waits"),
    [
        (["10s", "1min"], 0, (10, 60)),
        (["10s", "1min"], "2", (40, 240)),
        (["10s", "1min"], 10, (150, 900)),
        (["10s", "1min"], 2**63, (10, 60)),
        (["10s", "1min"], -1, (10, 60)),
        (["10s", "1min"], None, (10, 60)),
        ("5min", 1, (0, 600)),
        (300, 5, (0, 900)),
        ([], 3, (0, 0)),
        ([0, 0], 3, (0, 0)),
    ],
)
def test_the_countdown_is_doubled_for_each_attempt_and_stays_a_range(wanted, tries, waits):
    requeue = database(countdown=wanted).requeue
    assert countdown(requeue, tries) == waits


@given(st.lists(st.integers(0, 900), max_size=2).map(sorted), st.integers(0, 2**63 - 1), st.integers(900, 1800))
def test_a_countdown_lies_between_its_limits(wanted, tries, most):
    sent = task(tries=tries, countdown=wanted, countdown_max=most).get("countdown", 0)
    shortest, longest = ([0, *wanted] if wanted else [0, 0])[-2:]
    assert sent <= most
    assert sent >= shortest - 1e-3
    assert tries or sent <= longest
