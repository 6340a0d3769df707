"""Situations in which other rescuers of jobs have done harm, or nothing. Each is the same for every engine."""

from __future__ import annotations

import errno
import importlib
import os
import threading

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import engine_of, read_database
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.plan import Plan
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.record import Record
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.times import Clock

NOW = 1768737600.0  # 2026-01-18 12:00:00
ENGINES = "ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines"
pytestmark = [
    pytest.mark.usefixtures("in_this_process"),
    pytest.mark.parametrize("any_database", ["sqlite-wal", "postgresql"], indirect=True),
]


@pytest.fixture
def jobs(any_database):
    """Six jobs that a worker, whose name another process has by now, has had since 10:00."""
    any_database.sql(
        """
        CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT, updated_at {time}, queue TEXT, attempts INTEGER,
            worker TEXT, CHECK (NOT (id < 5 AND status = 'forbidden')));
        INSERT INTO jobs VALUES (1, 'processing', '2026-01-18 10:00:00+00:00', 'mail', 0, 'celery@web1');
        INSERT INTO jobs SELECT id + 1, status, updated_at, queue, attempts, worker FROM jobs;
        INSERT INTO jobs SELECT id + 2, status, updated_at, queue, attempts, worker FROM jobs;
        INSERT INTO jobs SELECT id + 4, status, updated_at, queue, attempts, worker FROM jobs WHERE id < 3;
    """.format(**any_database.words)
    )
    return any_database


def statuses(jobs):
    return [status for (status,) in jobs.sql("SELECT status FROM jobs ORDER BY id")]


def read_in_pairs(monkeypatch):
    for engine in ("sqlite", "postgresql"):
        monkeypatch.setattr(importlib.import_module(f"{ENGINES}.{engine}.rows"), "PAGE", 2)


def test_pages_full_of_jobs_that_can_not_be_reset_hide_no_later_one(jobs, monkeypatch):
    read_in_pairs(monkeypatch)
    jobs.sql("UPDATE jobs SET updated_at = NULL WHERE id < 3")
    report = jobs.run(now=NOW, reset_to="forbidden")
    assert [note.id for note in report.skipped] == ["1", "2", "3", "4"]
    assert statuses(jobs) == ["processing"] * 4 + ["forbidden"] * 2


def test_a_queue_of_long_jobs_makes_no_other_queue_wait(jobs):
    jobs.sql("UPDATE jobs SET queue = 'video' WHERE id > 3")
    report = jobs.run(now=NOW, threshold_column="queue", thresholds={"video": "3h"}, threshold="1h")
    assert report.counts == {"jobs": {"reset": 3}}
    assert statuses(jobs) == ["pending"] * 3 + ["processing"] * 3


@pytest.mark.parametrize("actives", [{"4": "celery@web1 executes its task"}, {}])
def test_what_counts_is_whether_a_worker_has_the_task_and_not_whether_one_of_that_name_lives(jobs, actives):
    engine = engine_of(read_database(jobs.options()))
    skipped = []
    with engine.connect(False, {}) as session:
        plan = Plan(engine, session.rows(), Clock(NOW), actives, skipped.append)
        planned = [change.id for page in plan.pages() for change in page]
    assert planned == [str(number) for number in range(1, 7) if str(number) not in actives]
    assert [(note.id, note.why) for note in skipped] == list(actives.items())


def test_a_job_that_kills_each_worker_fails_in_the_end(jobs):
    options = {"jobs": ["4"], "attempts_column": "attempts", "max_attempts": 3}
    for attempt in (1, 2, 3):
        assert jobs.run(now=NOW, **options).counts == {"jobs": {"reset": 1}}
        assert jobs.sql("SELECT attempts FROM jobs WHERE id = 4") == [(attempt,)]
        jobs.sql("UPDATE jobs SET status = 'processing' WHERE id = 4")
    assert jobs.run(now=NOW, **options).counts == {"jobs": {"fail": 1}}
    assert not jobs.run(now=NOW, **options).changed


def test_nothing_is_committed_unless_its_record_is_on_the_disk(jobs, monkeypatch):
    def fail(_file):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    report = jobs.run(now=NOW)
    assert "Input/output error" in report.error
    assert statuses(jobs) == ["processing"] * 6


def test_nobody_waits_for_the_disk_with_the_record(jobs, monkeypatch):
    """Its first sync is fast. Each later one ends when another process has written the rows that the run is writing."""
    monkeypatch.setattr(importlib.import_module(f"{Plan.__module__.rpartition('.')[0]}.pace"), "FIRST", 2)
    is_writing, syncs, errors = threading.Event(), [], []
    unharmed = Plan.unharmed

    def within_the_transaction(plan, changes):
        is_writing.set()
        return unharmed(plan, changes)

    def sync(file):
        syncs.append(file)
        if len(syncs) > 1:
            is_writing.clear()
            is_writing.wait(0.2)  # not set where the run syncs before it writes
            try:
                jobs.sql("UPDATE jobs SET queue = 'video'")
            except Exception as error:
                errors.append(error)

    monkeypatch.setattr(Plan, "unharmed", within_the_transaction)
    monkeypatch.setattr(os, "fdatasync", sync)
    assert not jobs.run(now=NOW).error
    assert not errors
    assert len(syncs) > 1
    assert statuses(jobs) == ["pending"] * 6


def test_a_record_is_synced_without_a_thread_if_none_can_be_started(jobs, monkeypatch):
    def fail(_thread):
        raise RuntimeError("can't start new thread")

    synced = []
    monkeypatch.setattr(threading.Thread, "start", fail)
    monkeypatch.setattr(os, "fdatasync", synced.append)
    assert not jobs.run(now=NOW).error
    assert synced
    assert statuses(jobs) == ["pending"] * 6


def test_a_worker_that_ends_a_job_just_before_the_write_wins(jobs, monkeypatch):
    intend = Record.intend

    def and_then_a_job_ends(record, batch):
        intend(record, batch)
        jobs.sql("UPDATE jobs SET status = 'completed' WHERE id = 4")

    monkeypatch.setattr(Record, "intend", and_then_a_job_ends)
    report = jobs.run(now=NOW)
    assert [note.id for note in report.moved_on] == ["4"]
    assert statuses(jobs) == ["pending"] * 3 + ["completed"] + ["pending"] * 2
