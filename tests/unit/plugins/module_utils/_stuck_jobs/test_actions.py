"""A new action needs only an entry in ACTIONS."""

from __future__ import annotations

import importlib
import json
import sqlite3
from contextlib import closing

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import option_table
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.actions import ACTIONS, RESET, Action
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    StuckJobsError,
    clean_up,
    engine_of,
    engine_of_record,
    read_database,
    undo,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.report import metrics
from ansible_collections.evenkeel.celery.plugins.modules import sqlite_stuck_jobs
from clean_ups import SQLite
from module_args import patch_module_args


@pytest.fixture
def archive(monkeypatch):
    """An action that sets a status and the error, and ignores unreachable workers."""
    action = Action("archive", "archived as {status}", status="archived", writes_error=True, unreachable="ignore")
    monkeypatch.setitem(ACTIONS, action.name, action)
    return action


ARCHIVE = {
    **{"action": "archive", "archive_to": "shelved", "archive_set": {"shelf": 7}},
    **{"error_column": "error", "error_message": "put away"},
    "children": [{"table": "links", "foreign_key": ["job"]}],
}


def fill(database):
    database.sql("""
        CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT, updated_at TEXT, error TEXT, shelf INTEGER,
            tries INTEGER DEFAULT 0);
        CREATE TABLE links (id INTEGER PRIMARY KEY, job INTEGER, status TEXT);
        INSERT INTO jobs (id, status, updated_at) VALUES (1, 'processing', '2026-01-18 12:00'), (2, 'completed', '');
        INSERT INTO links SELECT id, id, status FROM jobs;
    """)


@pytest.fixture
def jobs(tmp_path):
    database = SQLite(tmp_path)
    fill(database)
    return database.options(**ARCHIVE)


@pytest.mark.usefixtures("archive")
def test_a_new_action_is_planned_written_reported_and_undone(any_database):
    fill(any_database)
    jobs = any_database.options(**ARCHIVE)

    def rows(columns="status, error, shelf", table="jobs"):
        return any_database.sql(f"SELECT {columns} FROM {table} ORDER BY id")

    (planned,) = clean_up(engine_of, [read_database(jobs)], dry_run=True)
    assert [row.as_data()["to"] for row in planned.rows] == ["shelved", "shelved"]
    assert planned.sentence().startswith(
        "jobs: 1 in jobs would be archived as shelved and 1 in links would be archived"
    )
    assert rows()[0] == ("processing", None, None)

    (report,) = clean_up(engine_of, [read_database(jobs)])
    assert report.counts == {"jobs": {"archive": 1}, "links": {"archive": 1}}
    assert rows() == [("shelved", "put away", 7), ("completed", None, None)]
    assert rows("status", "links") == [("shelved",), ("completed",)]
    assert 'stuck_jobs_rows{database="jobs",table="jobs",action="archive"} 1' in metrics([report])

    assert undo(engine_of_record, report.record).back == 2
    assert rows()[0] == ("processing", None, None)


@pytest.mark.usefixtures("archive")
def test_the_default_policy_of_a_new_action_is_used_if_the_workers_are_unreachable(jobs):
    jobs["celery"] = {"app": "shop", "directory": "/nowhere", "python": "/nowhere/python"}
    (report,) = clean_up(engine_of, [read_database(jobs)])
    assert report.counts["jobs"] == {"archive": 1}
    assert "it is not known what the workers are doing" in report.sentence()


@pytest.mark.usefixtures("archive")
def test_the_options_of_a_new_action_are_checked(jobs):
    with pytest.raises(StuckJobsError, match="archive_to of jobs is itself one of its stuck_statuses"):
        read_database({**jobs, "archive_to": "processing"})
    with pytest.raises(StuckJobsError, match="Did you mean 'archive_to'"):
        read_database({**jobs, "archve_to": "x"})
    (report,) = clean_up(engine_of, [read_database({**jobs, "archive_set": {"shelv": 1}})])
    assert "archive_set: table jobs has no column 'shelv'. Did you mean 'shelf'?" in report.error


@pytest.mark.usefixtures("archive")
def test_a_new_action_can_replace_another_after_max_attempts(jobs, monkeypatch):
    monkeypatch.setitem(ACTIONS, "retry", Action("retry", "sent again", "pending", in_the_end="archive"))
    (report,) = clean_up(
        engine_of, [read_database({**jobs, "action": "retry", "attempts_column": "tries", "max_attempts": 1})]
    )
    assert report.counts["jobs"] == {"retry": 1}
    with closing(sqlite3.connect(jobs["path"])) as db:
        db.execute("UPDATE jobs SET status = 'processing', tries = 1 WHERE id = 1")
        db.commit()
    (report,) = clean_up(
        engine_of, [read_database({**jobs, "action": "retry", "attempts_column": "tries", "max_attempts": 1})]
    )
    assert report.counts["jobs"] == {"archive": 1}


@pytest.mark.usefixtures("archive")
def test_the_module_accepts_a_new_action(jobs, capsys):
    reload()
    try:
        with patch_module_args({"databases": [jobs]}), pytest.raises(SystemExit):
            sqlite_stuck_jobs.main()
    finally:
        del ACTIONS["archive"]
        reload()
    told = json.loads(capsys.readouterr().out)
    assert told["databases"][0]["counts"]["jobs"] == {"archive": 1}
    assert "jobs 1: shelved, shelf 7, error put away (" in told["diff"][0]["after"]


def reload():
    """The module's arguments are made of the actions that there are when it is imported."""
    for each in (option_table, sqlite_stuck_jobs):
        importlib.reload(each)


def test_without_an_action_there_are_no_options_for_it(jobs):
    with pytest.raises(StuckJobsError, match="there is no option `archive_to`"):
        read_database(jobs)
    assert read_database({"name": "jobs", "path": "/srv/jobs.db", "table": "jobs"}).action is RESET
