"""Living jobs are left alone, lost ones sent again: the engine with workers of its imagination (live: molecule)."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import (
    clean_up,
    read_options,
    run,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite import SQLite


class Workers:
    """What an application's workers say and get."""

    def __init__(self):
        self.living, self.why_not, self.breaks_after, self.sent = {}, "", 99, []

    def __call__(self, celery, owner):
        return self

    def start(self):
        pass

    stop = start

    def ready(self):
        return ""

    def busy(self):
        return self.living, self.why_not

    def send(self, tasks):
        room = self.breaks_after - len(self.sent)
        self.sent += [task["args"] for task in tasks[:room]]
        return min(len(tasks), room), "the broker is gone" if len(tasks) > room else ""


@pytest.fixture
def workers(monkeypatch):
    workers = Workers()
    monkeypatch.setattr(run, "Workers", workers)
    return workers


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "jobs.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, status, updated_at, task)")
        db.executemany(
            "INSERT INTO jobs VALUES (?, 'processing', '2026-01-18 12:00', ?)", [(1, "t1"), (2, "t2"), (3, "t3")]
        )
        db.commit()
    return file


def options(path, celery=(), **more):
    return {
        **{"name": "jobs", "path": str(path), "table": "jobs", "record_directory": str(path.parent / "records")},
        **{"celery": {"app": "shop", "directory": "/opt/shop", "python": "/opt/shop/venv/bin/python", **dict(celery)}},
        "requeue": {"task": "shop.make", "args": ["{id}", "job {id}"]},
        **more,
    }


def go(path, **more):
    (report,) = clean_up(SQLite, [read_options(options(path, **more))])
    return report


def stuck(path):
    with closing(sqlite3.connect(path)) as db:
        return [key for (key,) in db.execute("SELECT id FROM jobs WHERE status = 'processing' ORDER BY id")]


@pytest.mark.parametrize(
    ("living", "celery"),
    [({"2": "a worker is executing it"}, ()), ({"t2": "a worker is executing it"}, {"task_id_column": "task"}.items())],
)
def test_a_living_job_is_left_alone(path, workers, living, celery):
    workers.living = living
    report = go(path, celery=celery)
    assert [note.id for note in report.skipped] == ["2"]
    assert report.skipped[0].why == "a worker is executing it"
    assert stuck(path) == [2]


def test_a_given_job_that_begins_while_the_workers_are_asked_is_left_alone(path, workers, monkeypatch):
    def busy():
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("UPDATE jobs SET updated_at = ? WHERE id = 2", (time.time(),))
        return {}, ""

    monkeypatch.setattr(workers, "busy", busy)
    report = go(path, jobs=["1", "2"])
    assert report.counts == {"jobs": {"reset": 1}}
    assert [(note.id, note.why) for note in report.skipped] == [("2", "it has begun since the workers were asked")]


@pytest.mark.parametrize(("stored", "argument"), [("7.0", "7"), ("'a\u00a0b'", "a\u00a0b"), ("x'00ff'", "00ff")])
def test_a_living_job_is_known_whatever_its_id_is_made_of(path, workers, stored, argument):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE odd (id PRIMARY KEY, status, updated_at)")
        db.execute(f"INSERT INTO odd VALUES ({stored}, 'processing', '2026-01-18 12:00')")
    workers.living = {argument: "a worker is executing it"}
    report = go(path, table="odd")
    assert (report.changed, [note.why for note in report.skipped]) == (False, ["a worker is executing it"])


def test_what_begins_while_the_workers_are_asked_is_young(path, workers, monkeypatch):
    def busy():
        time.sleep(0.05)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            now = time.time()
            db.execute("UPDATE jobs SET updated_at = ?", (now,))
        while time.time() < now + 0.1:  # by now older than the threshold
            time.sleep(0.01)
        return {}, ""

    monkeypatch.setattr(workers, "busy", busy)
    report = go(path, threshold="0.05s")
    assert (report.changed, report.skipped) == (False, [])
    assert stuck(path) == [1, 2, 3]


def test_each_reset_job_is_sent_once_with_its_own_id(path, workers):
    assert go(path).sent == 3
    assert workers.sent == [[1, "job 1"], [2, "job 2"], [3, "job 3"]]
    assert not go(path).changed
    assert len(workers.sent) == 3


@pytest.mark.parametrize(
    ("action", "policy", "is_done"),
    [
        ("reset", "", False),
        ("delete", "", False),
        ("fail", "", True),
        ("reset", "ignore", True),
        ("fail", "abort", False),
    ],
)
def test_who_can_not_be_asked(path, workers, action, policy, is_done):
    workers.why_not = "no worker answered"
    report = go(path, action=action, celery=[("unreachable", policy)])
    assert bool(report.changed) == is_done
    assert ("can't be asked what they are doing: no worker answered." in report.error) != is_done
    assert stuck(path) == ([] if is_done else [1, 2, 3])


def test_what_can_not_be_sent_is_stuck_again_and_the_next_run_sends_it(path, workers):
    workers.breaks_after = 1
    report = go(path)
    assert "tasks can't be sent: the broker is gone. 2 rows are as they were" in report.error
    assert stuck(path) == [2, 3]
    assert report.counts == {"jobs": {"reset": 1}}
    workers.breaks_after = 99
    assert go(path).sent == 2
    assert [args[0] for args in workers.sent] == [1, 2, 3]


def test_a_run_that_dies_between_commit_and_sending_is_finished_by_the_next(path, workers, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "_send", die)
        go(path)
    assert stuck(path) == []
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE jobs SET status = 'completed' WHERE id = 3")
        db.commit()

    report = go(path)
    assert report.sent == 2
    assert [args[0] for args in workers.sent] == [1, 2], "a job that somebody else did is sent again"
    assert go(path).sent == 0
