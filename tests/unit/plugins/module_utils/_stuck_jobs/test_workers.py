"""Active jobs are left alone and lost ones sent again, with simulated workers (real ones: molecule/job_cleanup)."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import applications, work
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    clean_up,
    engine_of,
    engine_of_record,
    read_database,
    undo,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.celery_client import ActiveTasks

pytestmark = pytest.mark.usefixtures("in_this_process")


class Workers:
    """Simulates an application's workers: their answers, and the tasks that are sent to them."""

    def __init__(self):
        self.tasks, self.error, self.breaks_after, self.sent, self.messages = {}, "", 99, [], []
        self.started = self.asked = 0

    def __call__(self, celery, variables):
        self.started += 1
        return self

    def start(self):
        pass

    stop = start

    def active_tasks(self):
        self.asked += 1
        return ActiveTasks(self.tasks, [], self.error)

    def send(self, tasks):
        room = self.breaks_after - len(self.sent)
        self.messages += tasks[:room]
        self.sent += [task["args"] for task in tasks[:room]]
        return min(len(tasks), room), "the broker is gone" if len(tasks) > room else ""


@pytest.fixture
def workers(monkeypatch):
    workers = Workers()
    monkeypatch.setattr(applications, "CeleryClient", workers)
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
    (report,) = clean_up(engine_of, [read_database(options(path, **more))])
    return report


def stuck(path):
    with closing(sqlite3.connect(path)) as db:
        return [key for (key,) in db.execute("SELECT id FROM jobs WHERE status = 'processing' ORDER BY id")]


@pytest.mark.parametrize(
    ("tasks", "celery"),
    [({"2": "a worker is executing it"}, ()), ({"t2": "a worker is executing it"}, {"task_id_column": "task"}.items())],
)
def test_a_job_whose_task_is_active_is_left_alone(path, workers, tasks, celery):
    workers.tasks = tasks
    report = go(path, celery=celery)
    assert [note.id for note in report.skipped] == ["2"]
    assert report.skipped[0].why == "a worker is executing it"
    assert stuck(path) == [2]


def test_a_given_job_that_begins_while_the_workers_are_asked_is_left_alone(path, workers, monkeypatch):
    def active_tasks():
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("UPDATE jobs SET updated_at = ? WHERE id = 2", (time.time(),))
        return ActiveTasks()

    monkeypatch.setattr(workers, "active_tasks", active_tasks)
    report = go(path, jobs=["1", "2"])
    assert report.counts == {"jobs": {"reset": 1}}
    assert [(note.id, note.why) for note in report.skipped] == [("2", "it has begun since the workers were asked")]


@pytest.mark.parametrize(("stored", "argument"), [("7.0", "7"), ("'a\u00a0b'", "a\u00a0b"), ("x'00ff'", "00ff")])
def test_an_active_job_is_found_whatever_type_its_id_has(path, workers, stored, argument):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE odd (id PRIMARY KEY, status, updated_at)")
        db.execute(f"INSERT INTO odd VALUES ({stored}, 'processing', '2026-01-18 12:00')")
    workers.tasks = {argument: "a worker is executing it"}
    report = go(path, table="odd")
    assert (report.changed, [note.why for note in report.skipped]) == (False, ["a worker is executing it"])


def test_a_job_that_begins_while_the_workers_are_asked_is_young(path, workers, monkeypatch):
    def active_tasks():
        time.sleep(0.05)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            now = time.time()
            db.execute("UPDATE jobs SET updated_at = ?", (now,))
        while time.time() < now + 0.1:  # by now older than the threshold
            time.sleep(0.01)
        return ActiveTasks()

    monkeypatch.setattr(workers, "active_tasks", active_tasks)
    report = go(path, threshold="0.05s")
    assert (report.changed, report.skipped) == (False, [])
    assert stuck(path) == [1, 2, 3]


def test_each_reset_job_is_sent_once_with_its_own_id(path, workers):
    assert go(path).sent == 3
    assert workers.sent == [[1, "job 1"], [2, "job 2"], [3, "job 3"]]
    assert not go(path).changed
    assert len(workers.sent) == 3


def several(path, *differences):
    named = (options(path, name=f"jobs-{number}", **more) for number, more in enumerate(differences))
    return clean_up(engine_of, map(read_database, named))


@pytest.mark.parametrize("option", [("app", "forge"), ("environment_file", __file__), ("workers", ["w2"])])
def test_each_application_is_asked_separately(path, workers, option):
    several(path, {}, {"celery": [option]})
    assert (workers.started, workers.asked) == (2, 2)


def test_workers_are_asked_again_once_their_answer_is_old(path, workers, monkeypatch):
    monkeypatch.setattr(applications, "FRESH", 0)
    several(path, {}, {})
    assert (workers.started, workers.asked) == (1, 2)


def test_a_job_that_begins_after_the_workers_were_asked_is_young_in_every_database(path, workers, monkeypatch):
    def active_tasks():
        workers.asked += 1
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("UPDATE jobs SET updated_at = ? WHERE id = 2", (time.time(),))
        return ActiveTasks()

    monkeypatch.setattr(workers, "active_tasks", active_tasks)
    several(path, {"jobs": ["1"], "requeue": None}, {"threshold": "0s", "requeue": None})
    assert (workers.asked, stuck(path)) == (1, [2])


def test_workers_are_asked_again_after_tasks_were_sent(path, workers, monkeypatch):
    def send(tasks):
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("UPDATE jobs SET status = 'processing' WHERE id = 2")
        workers.tasks = {"2": "a worker is executing it"}
        return len(tasks), ""

    monkeypatch.setattr(workers, "send", send)
    first, second = several(path, {}, {})
    assert (first.sent, workers.asked) == (3, 2)
    assert [(note.id, note.why) for note in second.skipped] == [("2", "a worker is executing it")]
    assert stuck(path) == [2]


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
def test_the_policy_decides_if_the_workers_are_unreachable(path, workers, action, policy, is_done):
    workers.error = "no worker answered"
    report = go(path, action=action, celery=[("unreachable", policy)])
    assert bool(report.changed) == is_done
    assert ("it is not known what the workers are doing: no worker answered." in report.error) != is_done
    assert stuck(path) == ([] if is_done else [1, 2, 3])


def test_jobs_whose_tasks_can_not_be_sent_are_restored_and_sent_by_the_next_run(path, workers):
    workers.breaks_after = 1
    report = go(path)
    assert "tasks can't be sent: the broker is gone. 2 rows were restored" in report.error
    assert stuck(path) == [2, 3]
    assert report.counts == {"jobs": {"reset": 1}}
    workers.breaks_after = 99
    assert go(path).sent == 2
    assert [args[0] for args in workers.sent] == [1, 2, 3]


def test_a_run_that_is_interrupted_between_commit_and_sending_is_completed_by_the_next(path, workers, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(work, "_send", die)
        go(path)
    assert stuck(path) == []
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE jobs SET status = 'completed' WHERE id = 3")
        db.commit()

    report = go(path)
    assert report.sent == 2
    assert [args[0] for args in workers.sent] == [1, 2], "a job that somebody else did is sent again"
    assert go(path).sent == 0


def test_unsent_tasks_of_a_database_that_is_named_differently_now_are_told(path, workers, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(work, "_send", die)
        go(path)
    report = go(path.rename(path.with_name("renamed.db")))
    assert f"is of an interrupted run on {path}, whose tasks may not have been sent" in report.sentence()
    assert workers.sent == []


def task_ids(path):
    with closing(sqlite3.connect(path)) as db:
        return [task for (task,) in db.execute("SELECT task FROM jobs ORDER BY id")]


NAMED = {"task_id_column": "task"}
REQUEUE = {"task": "shop.make", "revoke": True, "countdown": ["10s", "1min"]}


def test_a_row_holds_the_id_of_the_task_that_is_sent_and_an_undo_the_old_one(path, workers):
    report = go(path, celery=NAMED, requeue=REQUEUE)
    assert [message["task_id"] for message in workers.messages] == task_ids(path)
    assert [message["revoke"] for message in workers.messages] == [["t1"], ["t2"], ["t3"]]
    assert all(10 <= message["countdown"] <= 60 for message in workers.messages)
    assert len({message["countdown"] for message in workers.messages}) > 1
    assert undo(engine_of_record, report.record).back == 3
    assert task_ids(path) == ["t1", "t2", "t3"]


def test_jobs_whose_tasks_can_not_be_sent_get_their_old_ids_back(path, workers):
    workers.breaks_after = 1
    assert "2 rows were restored" in go(path, celery=NAMED).error
    assert task_ids(path) == [workers.messages[0]["task_id"], "t2", "t3"]


def test_a_task_that_is_sent_by_the_next_run_has_the_id_and_the_countdown_that_it_would_have_had(
    path, workers, monkeypatch
):
    def die(*_):
        raise KeyboardInterrupt

    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("ALTER TABLE jobs ADD COLUMN tries DEFAULT 2")
    more = {"celery": NAMED, "requeue": REQUEUE, "attempts_column": "tries"}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(work, "_send", die)
        go(path, **more)
    assert go(path, **more).sent == 3
    assert [message["task_id"] for message in workers.messages] == task_ids(path)
    assert [message["revoke"] for message in workers.messages] == [["t1"], ["t2"], ["t3"]]
    assert all(40 <= message["countdown"] <= 240 for message in workers.messages)


def test_a_report_tells_when_tasks_start_and_no_id_that_is_not_to_be(path, workers):
    (planned,) = clean_up(
        engine_of, [read_database(options(path, celery=NAMED.items(), requeue=REQUEUE))], dry_run=True
    )
    report = go(path, celery=NAMED, requeue=REQUEUE)
    assert planned.rows == report.rows
    row = planned.rows[0]
    assert (row.before, row.after) == ("processing, task t1", "pending, task a new id, task in 10 s to 1 min")
    assert row.becomes == "pending, task in 10 s to 1 min"
    assert row.as_data()["countdown"] == [10, 60]
    assert task_ids(path) != ["t1", "t2", "t3"]


def test_without_a_column_for_its_id_a_task_gets_one_from_celery_and_starts_at_once(path, workers):
    go(path)
    assert workers.messages[0] == {"name": "shop.make", "args": [1, "job 1"], "kwargs": {}}
    assert task_ids(path) == ["t1", "t2", "t3"]


@pytest.mark.parametrize("action", ["fail", "delete"])
def test_only_a_reset_gives_a_new_id(path, workers, action):
    report = go(path, action=action, celery=NAMED, requeue=REQUEUE)
    assert (report.sent, report.rows[0].countdown) == (0, ())
    assert task_ids(path) == ([] if action == "delete" else ["t1", "t2", "t3"])
