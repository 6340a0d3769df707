"""The module that cleans up stuck jobs, and that its defaults and the role's are the engine's."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.options import (
    Celery,
    Database,
    Requeue,
    Table,
)
from ansible_collections.evenkeel.celery.plugins.modules import sqlite_stuck_jobs
from module_args import patch_module_args
from project import PROJECT

ROLE = PROJECT / "roles" / "job_cleanup"


@pytest.fixture
def jobs(tmp_path):
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, updated_at TEXT)")
        db.executemany(
            "INSERT INTO jobs VALUES (?, ?, '2026-01-16 10:00:00')",
            [("77cfa3cd-1", "processing"), ("b49d06f6-2", "processing"), ("c0ffee00-3", "completed")],
        )
        db.commit()
    return {"name": "jobs", "path": str(path), "table": "jobs", "record_directory": str(tmp_path / "records")}


def statuses(jobs):
    with closing(sqlite3.connect(jobs["path"])) as db:
        return [status for (status,) in db.execute("SELECT status FROM jobs ORDER BY id")]


def module(capsys, databases, **args):
    with patch_module_args({"databases": databases, **args}), pytest.raises(SystemExit):
        sqlite_stuck_jobs.main()
    return json.loads(capsys.readouterr().out)


def test_check_mode_and_diff_show_what_then_happens_once(capsys, jobs):
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


def test_the_module_reports_every_wrong_database_and_still_does_the_others(capsys, jobs):
    outcome = module(capsys, [{**jobs, "table": "job"}, jobs, {**jobs, "path": "/nowhere"}])
    assert outcome["failed"]
    assert outcome["changed"]
    assert "Did you mean 'jobs'?" in outcome["msg"]
    assert "/nowhere" in outcome["msg"]
    assert statuses(jobs) == ["pending", "pending", "completed"]


def test_the_module_deletes_given_jobs_and_nothing_the_second_time(capsys, jobs):
    asked = {**jobs, "action": "delete", "jobs": ["77cfa3cd"]}
    first = module(capsys, [asked])
    assert first["diff"][0]["after"] == ""
    assert Path(first["databases"][0]["record"]).exists()
    second = module(capsys, [asked])
    assert not second["changed"]
    assert second["databases"][0]["unknown"] == ["77cfa3cd"]


def test_a_look_at_the_options_asks_no_worker_and_is_no_clean_up(capsys, jobs):
    nobody = {"app": "shop", "directory": "/nowhere", "python": "/nowhere/python"}
    asked = [{**jobs, "celery": nobody}]
    assert "it is not known what the workers are doing" in module(capsys, asked, _ansible_check_mode=True)["msg"]
    assert not module(capsys, asked, _ansible_check_mode=True, ask_workers=False).get("failed")
    assert "ask_workers: false is for check mode." in module(capsys, asked, ask_workers=False)["msg"]
    wrong = [{**jobs, "celery": {**nobody, "task_id_column": "taks"}}]
    refused = module(capsys, wrong, _ansible_check_mode=True, ask_workers=False)
    assert "task_id_column: table jobs has no column 'taks'" in refused["msg"]


def test_the_diff_says_in_words_and_rows_what_is_set(capsys, jobs):
    asked = {**jobs, "jobs": ["77cfa3cd"], "time_column": "id", "reset_set": {"updated_at": None}}
    (diff,) = module(capsys, [asked], _ansible_check_mode=True, _ansible_diff=True)["diff"]
    assert diff == {
        "before_header": f"jobs ({jobs['path']})",
        "after_header": "jobs: 1 in jobs would be reset to pending.",
        "before": "jobs 77cfa3cd-1: processing, updated_at 2026-01-16 10:00:00\n",
        "after": "jobs 77cfa3cd-1: pending, updated_at NULL (processing, and asked for by id)\n",
    }


def engine_defaults(kind):
    found = {}
    for item in dataclasses.fields(kind):
        if item.default_factory is not dataclasses.MISSING:
            found[item.name] = item.default_factory()
        elif item.default is not dataclasses.MISSING:
            found[item.name] = list(item.default) if isinstance(item.default, tuple) else item.default
    return found


def defaults_of(spec):
    return {key: each["default"] for key, each in spec.items() if "default" in each}


def test_the_defaults_of_module_and_role_are_the_engines():
    of_engine = engine_defaults(Database)
    of_role = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())["__job_cleanup_defaults"]
    for name in ("name", "path", "foreign_key"):
        del of_engine[name]
    assert {**defaults_of(sqlite_stuck_jobs.DATABASE), "celery": None, "requeue": None} == of_engine
    # A clean-up of given jobs is asked for once, not configured.
    assert of_role == {key: value for key, value in of_engine.items() if key not in ("jobs", "respect_age")}
    assert defaults_of(sqlite_stuck_jobs.CHILD).items() <= engine_defaults(Table).items()
    assert defaults_of(sqlite_stuck_jobs.CELERY) == engine_defaults(Celery)
    assert defaults_of(sqlite_stuck_jobs.REQUEUE) == engine_defaults(Requeue)
