"""The script cleanup_stuck_jobs.py."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from project import PROJECT


@pytest.fixture
def script(tmp_path, jobs):
    """Runs the script as on a host: beside its engine, with a configuration, without the collection."""
    home = tmp_path / "evenkeel"
    home.mkdir()
    shutil.copy(PROJECT / "roles" / "job_cleanup" / "files" / "cleanup_stuck_jobs.py", home)
    for package in ("_common", "_stuck_jobs"):
        shutil.copytree(PROJECT / "plugins" / "module_utils" / package, home / "_engine" / package)
    config = tmp_path / "job_cleanup.json"
    config.write_text(json.dumps({"databases": [jobs]}))

    def run(*args, **options):
        command = [sys.executable, "-I", str(home / "cleanup_stuck_jobs.py"), "--config", str(config), *args]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    run.config = config
    return run


def statuses(jobs):
    with closing(sqlite3.connect(jobs["path"])) as db:
        return [status for (status,) in db.execute("SELECT status FROM jobs ORDER BY id")]


def test_dry_run_table_and_exit_codes(script, jobs):
    dry = script("--dry-run")
    assert dry.returncode == 3
    assert dry.stdout.splitlines()[0].startswith("jobs  77cfa3cd-1  processing -> pending  processing for ")
    assert dry.stdout.splitlines()[-1].startswith(
        "jobs: 2 in jobs would be reset to pending; the oldest was stuck for "
    )
    assert statuses(jobs) == ["processing", "processing", "completed"]

    assert script("--action", "fail", "--job", "77cf").returncode == 0
    assert statuses(jobs) == ["failed", "processing", "completed"]
    assert script("--threshold", "9999d").stdout == "jobs: nothing is stuck.\n"
    assert script("--job", "b49d", "--threshold", "9999d").returncode == 4
    assert script().returncode == 0
    assert statuses(jobs) == ["failed", "pending", "completed"]
    assert script("--dry-run").returncode == 0


def test_a_dry_run_tells_when_the_tasks_would_start(script, jobs):
    nobody = {"app": "shop", "directory": "/nowhere", "python": "/nowhere/python", "unreachable": "ignore"}
    requeue = {"task": "shop.make", "countdown": ["10s", "5min"]}
    script.config.write_text(json.dumps({"databases": [{**jobs, "celery": nobody, "requeue": requeue}]}))
    first = "jobs  77cfa3cd-1  processing -> pending, task in 10 s to 5 min  processing for "
    assert script("--dry-run").stdout.startswith(first)
    (plan,) = json.loads(script("--dry-run", "--json").stdout)["databases"]
    assert [row["countdown"] for row in plan["changes"]] == [[10, 300], [10, 300]]


def test_nothing_is_imported_from_the_working_directory_or_the_callers_environment(script, tmp_path):
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in ("json", "argparse", "sitecustomize", "_engine"):
        (evil / f"{name}.py").write_text("raise SystemExit('imported')")
    first_line = (PROJECT / "roles/job_cleanup/files/cleanup_stuck_jobs.py").read_text().splitlines()[0]
    assert first_line == "#!/usr/bin/python3 -I"
    assert script("--dry-run", cwd=evil, env={"PYTHONPATH": str(evil)}).returncode == 3


def test_the_table_shows_the_first_rows_and_json_shows_all(script, jobs):
    with closing(sqlite3.connect(jobs["path"])) as db:
        db.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
            " INSERT INTO jobs (id, status, updated_at) SELECT 'many-' || i, 'processing', '2026-01-18 12:00:00' FROM n"
        )
        db.commit()
    lines = script("--dry-run").stdout.splitlines()
    assert lines[20] == "… and 282 more (--json shows up to 10000)"
    (plan,) = json.loads(script("--dry-run", "--json").stdout)["databases"]
    assert len({row["id"] for row in plan["changes"]}) == plan["counts"]["jobs"]["reset"] == 302


def test_an_id_that_several_databases_have_is_an_error(script, jobs, tmp_path):
    shutil.copy(jobs["path"], tmp_path / "other.db")
    other = {**jobs, "name": "other", "path": str(tmp_path / "other.db")}
    script.config.write_text(json.dumps({"databases": [jobs, other]}))
    refused = script("--action", "delete", "--job", "77cf")
    assert refused.returncode == 1
    assert refused.stderr == "--job: jobs and other each have a job '77cf'. Add --database with one of them.\n"
    assert script("--action", "delete", "--job", "77cf", "--database", "other").returncode == 0
    assert [len(statuses(database)) for database in (jobs, other)] == [3, 2]
    assert script("--action", "delete", "--job", "77cf").returncode == 0, "only one of them has it now"


def test_an_id_that_is_ambiguous_in_one_database_changes_no_other(script, jobs, tmp_path):
    shutil.copy(jobs["path"], tmp_path / "other.db")
    with closing(sqlite3.connect(jobs["path"])) as db:
        db.execute("INSERT INTO jobs (id, status) VALUES ('77cf-too', 'processing')")
        db.commit()
    other = {**jobs, "name": "other", "path": str(tmp_path / "other.db")}
    script.config.write_text(json.dumps({"databases": [jobs, other]}))
    refused = script("--action", "delete", "--job", "77cf")
    assert refused.returncode == 1
    assert "'77cf' is the beginning of several ids" in refused.stderr
    assert len(statuses(other)) == 3


def test_metrics_that_can_not_be_written_are_an_error(script, jobs):
    script.config.write_text(json.dumps({"databases": [jobs], "metrics_file": "/nowhere/jobs.prom"}))
    assert (told := script()).returncode == 1
    assert told.stdout.splitlines()[-1].startswith("jobs: 2 in jobs reset to pending")
    assert told.stderr.startswith("metrics_file can't be written: ")
    assert "Traceback" not in told.stderr


def test_errors_name_the_value_and_what_is_accepted(script):
    assert (unknown := script("--job", "nobody")).returncode == 4
    assert unknown.stderr == "No job begins with 'nobody'.\n"
    assert script("--database", "x").stderr.endswith(". There are: jobs.\n")
    for age in ("soon", "", "-5", "1.2.3"):
        assert f"--threshold: '{age}' is not a duration. Write 30m" in script(f"--threshold={age}").stderr
    assert script("--action", "kill").returncode == 2
    script.config.write_text('{"databases": [{"name": "jobs", "path": "/srv/jobs.db", "tabel": "jobs"}]}')
    assert (wrong := script()).returncode == 1
    assert wrong.stderr == "jobs: there is no option `tabel`. Did you mean 'table'?\n"
    script.config.unlink()
    assert (absent := script()).returncode == 1
    assert "can't be read" in absent.stderr


def test_deleted_jobs_are_reported_as_json_and_restored_by_undo(script, jobs):
    told = json.loads(script("--action", "delete", "--json").stdout)
    assert told["databases"][0]["counts"] == {"jobs": {"delete": 2}}
    assert statuses(jobs) == ["completed"]
    assert script("--undo", told["databases"][0]["record"]).returncode == 0
    assert statuses(jobs) == ["processing", "processing", "completed"]


@pytest.mark.parametrize(
    ("age", "returncode"), [("20", 0), ("20.5", 0), ("4", 3), ("5min", 3), ("300s", 3), ("1h 30min", 0)]
)
def test_a_bare_number_for_the_option_threshold_is_minutes(script, jobs, age, returncode):
    with closing(sqlite3.connect(jobs["path"])) as db:
        db.execute("UPDATE jobs SET updated_at = datetime('now', '-10 minutes')")
        db.commit()
    assert script("--dry-run", "--threshold", age).returncode == returncode


def test_a_bare_number_in_the_configuration_is_seconds(script, jobs):
    with closing(sqlite3.connect(jobs["path"])) as db:
        db.execute("UPDATE jobs SET updated_at = datetime('now', '-10 minutes')")
        db.commit()
    for threshold, returncode in ((300, 3), ("300", 3), (1200, 0)):
        script.config.write_text(json.dumps({"databases": [{**jobs, "threshold": threshold}]}))
        assert script("--dry-run").returncode == returncode


def test_null_sets_a_status_to_null(script, jobs):
    script.config.write_text(json.dumps({"databases": [{**jobs, "reset_to": None}]}))
    told = script()
    assert told.returncode == 0
    assert told.stdout.splitlines()[0].startswith("jobs  77cfa3cd-1  processing -> NULL  processing for ")
    assert "2 in jobs reset to NULL" in told.stdout
    assert statuses(jobs) == [None, None, "completed"]
    assert "it is NULL, which is not stuck" in script("--job", "77cf").stdout
    record = told.stdout.split("--undo ")[1].strip().rstrip(".")
    assert script("--undo", record).returncode == 0
    assert statuses(jobs) == ["processing", "processing", "completed"]


@pytest.mark.parametrize("option", ["threshold", "stuck_statuses", "reset_set", "error_column", "id_column"])
def test_null_is_an_error_for_other_options(script, jobs, option):
    script.config.write_text(json.dumps({"databases": [{**jobs, option: None}]}))
    told = script()
    assert told.returncode == 1
    assert told.stderr == f"jobs: `{option}` is null. Set a value, or leave it out.\n"
