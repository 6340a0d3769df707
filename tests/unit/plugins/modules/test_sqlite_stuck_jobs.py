"""The module sqlite_stuck_jobs, and the documentation of its options."""

from __future__ import annotations

import ast
import dataclasses
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import option_table
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.actions import that_set
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import read_database
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql.options import (
    PostgreSQLDatabase,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite.options import SQLiteDatabase
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.options import (
    Celery,
    Database,
    Requeue,
    Table,
)
from ansible_collections.evenkeel.celery.plugins.modules import sqlite_stuck_jobs
from module_args import patch_module_args
from project import PROJECT

ENGINE = PROJECT / "plugins" / "module_utils" / "_stuck_jobs"
# The documented options, and the class that the engine reads each group into.
OPTIONS = [
    (option_table.SQLITE_DATABASES.options, SQLiteDatabase),
    (option_table.POSTGRESQL_DATABASES.options, PostgreSQLDatabase),
    (option_table.CHILD, Table),
    (option_table.CELERY, Celery),
    (option_table.REQUEUE, Requeue),
]


def statuses(jobs):
    with closing(sqlite3.connect(jobs["path"])) as db:
        return [status for (status,) in db.execute("SELECT status FROM jobs ORDER BY id")]


def module(capsys, databases, **args):
    with patch_module_args({"databases": databases, **args}), pytest.raises(SystemExit):
        sqlite_stuck_jobs.main()
    return json.loads(capsys.readouterr().out)


def test_check_mode_and_diff_show_what_the_real_run_then_changes(capsys, jobs):
    planned = module(capsys, [jobs], _ansible_check_mode=True, _ansible_diff=True)
    assert planned["changed"]
    assert statuses(jobs) == ["processing", "processing", "completed"]
    assert planned["diff"][0]["before"] == "jobs 77cfa3cd-1: processing\njobs b49d06f6-2: processing\n"
    after = planned["diff"][0]["after"].splitlines()
    assert after[0].startswith("jobs 77cfa3cd-1: pending (processing for ")
    assert after[1].startswith("jobs b49d06f6-2: pending (processing for ")

    done = module(capsys, [jobs])
    assert done["databases"][0]["changes"] == planned["databases"][0]["changes"]
    assert done["databases"][0]["counts"] == {"jobs": {"reset": 2}}
    assert statuses(jobs) == ["pending", "pending", "completed"]
    assert not module(capsys, [jobs])["changed"]


def test_errors_of_databases_are_reported_and_the_other_databases_cleaned_up(capsys, jobs):
    outcome = module(capsys, [{**jobs, "table": "job"}, jobs, {**jobs, "path": "/nowhere"}])
    assert outcome["failed"]
    assert outcome["changed"]
    assert "Did you mean 'jobs'?" in outcome["msg"]
    assert "/nowhere" in outcome["msg"]
    assert statuses(jobs) == ["pending", "pending", "completed"]


def test_given_jobs_are_deleted_and_unknown_the_second_time(capsys, jobs):
    asked = {**jobs, "action": "delete", "jobs": ["77cfa3cd"]}
    first = module(capsys, [asked])
    assert first["diff"][0]["after"] == ""
    assert Path(first["databases"][0]["record"]).exists()
    second = module(capsys, [asked])
    assert not second["changed"]
    assert second["databases"][0]["unknown"] == ["77cfa3cd"]


def test_ask_workers_false_checks_the_options_only_and_needs_check_mode(capsys, jobs):
    nobody = {"app": "shop", "directory": "/nowhere", "python": "/nowhere/python"}
    asked = [{**jobs, "celery": nobody}]
    assert "it is not known what the workers are doing" in module(capsys, asked, _ansible_check_mode=True)["msg"]
    assert not module(capsys, asked, _ansible_check_mode=True, ask_workers=False).get("failed")
    assert "ask_workers: false is for check mode." in module(capsys, asked, ask_workers=False)["msg"]
    wrong = [{**jobs, "celery": {**nobody, "task_id_column": "taks"}}]
    refused = module(capsys, wrong, _ansible_check_mode=True, ask_workers=False)
    assert "task_id_column: table jobs has no column 'taks'" in refused["msg"]


def test_the_diff_shows_a_sentence_and_what_is_set_in_each_row(capsys, jobs):
    asked = {**jobs, "jobs": ["77cfa3cd"], "time_column": "id", "reset_set": {"updated_at": None}}
    (diff,) = module(capsys, [asked], _ansible_check_mode=True, _ansible_diff=True)["diff"]
    assert diff == {
        "before_header": f"jobs ({jobs['path']})",
        "after_header": "jobs: 1 in jobs would be reset to pending.",
        "before": "jobs 77cfa3cd-1: processing, updated_at 2026-01-16 10:00:00\n",
        "after": "jobs 77cfa3cd-1: pending, updated_at NULL (processing, and given by its id)\n",
    }


def test_the_diff_shows_when_a_task_starts_and_that_it_gets_a_new_id(capsys, jobs):
    celery = {"app": "shop", "directory": "/nowhere", "python": "/nowhere/python", "task_id_column": "updated_at"}
    asked = {**jobs, "jobs": ["77cf"], "time_column": "id", "celery": celery}
    asked["requeue"] = {"task": "shop.make", "countdown": [10, "5min"]}
    (diff,) = module(capsys, [asked], _ansible_check_mode=True, _ansible_diff=True, ask_workers=False)["diff"]
    assert diff["after"] == (
        "jobs 77cfa3cd-1: pending, updated_at a new id, task in 10 s to 5 min (processing, and given by its id)\n"
    )


@pytest.mark.parametrize(("table", "kind"), OPTIONS, ids=[kind.__name__ for table, kind in OPTIONS])
def test_the_documented_options_are_those_of_the_engine(table, kind):
    known = {item.name for item in dataclasses.fields(kind)} - {"outcomes"}
    if issubclass(kind, Table):
        known |= {option for action in that_set() for option in (action.to_option, action.set_option)}
    if issubclass(kind, Database):
        known.remove("foreign_key")
    assert {option.name for option in table} == known


def test_documented_defaults_are_those_of_the_engine(jobs):
    documented = {
        option.name: option.default for option in option_table.SQLITE_DATABASES.options if option.default is not None
    }
    assert read_database({**documented, **jobs}) == read_database(jobs)


def test_the_engine_uses_every_option():
    files = [file for file in ENGINE.rglob("*.py") if file.name not in ("option_table.py", "options.py")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert {item.name for table, kind in OPTIONS for item in dataclasses.fields(kind)} <= used


def test_null_sets_a_status_to_null(capsys, jobs):
    with closing(sqlite3.connect(jobs["path"])) as db:
        db.execute("CREATE TABLE links (id INTEGER PRIMARY KEY, job TEXT, status TEXT)")
        db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, job TEXT, status TEXT)")
        for table in ("links", "notes"):
            db.execute(f"INSERT INTO {table} SELECT NULL, id, status FROM jobs")
        db.commit()
    links, notes = ({"table": table, "foreign_key": ["job"]} for table in ("links", "notes"))

    asked = {**jobs, "reset_to": None, "children": [links, {**notes, "reset_to": "waiting"}]}
    planned = module(capsys, [asked], _ansible_check_mode=True)
    assert "2 in jobs would be reset to NULL" in planned["msg"]
    assert planned["diff"][0]["after"].startswith("jobs 77cfa3cd-1: NULL (")
    module(capsys, [asked])
    assert statuses(jobs) == [None, None, "completed"]
    assert of_children(jobs) == {"links": {None, "completed"}, "notes": {"waiting", "completed"}}

    with closing(sqlite3.connect(jobs["path"])) as db:
        for table in ("jobs", "links", "notes"):
            db.execute(f"UPDATE {table} SET status = 'processing' WHERE status IS NOT 'completed'")
        db.commit()
    module(capsys, [{**jobs, "action": "fail", "children": [links, {**notes, "fail_to": None}]}])
    assert statuses(jobs) == ["failed", "failed", "completed"]
    assert of_children(jobs) == {"links": {"failed", "completed"}, "notes": {None, "completed"}}


def of_children(jobs):
    with closing(sqlite3.connect(jobs["path"])) as db:
        return {
            table: {status for (status,) in db.execute(f"SELECT status FROM {table}")} for table in ("links", "notes")
        }


@pytest.mark.parametrize("option", ["threshold", "stuck_statuses", "reset_set", "max_attempts"])
def test_null_is_an_error_for_other_options(capsys, jobs, option):
    result = module(capsys, [{**jobs, option: None}])
    assert result["failed"]
    assert option in result["msg"]
    assert statuses(jobs) == ["processing", "processing", "completed"]
