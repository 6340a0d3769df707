"""The module job_cleanup_script: idempotence, check mode and diff mode."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import locks, programs
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup import apply, plan
from ansible_collections.evenkeel.celery.plugins.modules import job_cleanup_script
from module_args import patch_module_args
from project import PROJECT

ME = getpass.getuser()
SCRIPT = PROJECT / "roles" / "job_cleanup" / "files" / "cleanup_stuck_jobs.py"
NAMES = ("PROGRAMS", "SCRIPT", "ENGINE", "CONFIG", "RECORDS", "CRON", "LOCK")


@pytest.fixture
def module(capsys, tmp_path, monkeypatch):
    for room in (plan, apply, job_cleanup_script):
        for name in NAMES:
            if hasattr(room, name):
                monkeypatch.setattr(room, name, f"{tmp_path}{getattr(room, name)}")

    def run(**args):
        with patch_module_args(args), pytest.raises(SystemExit):
            job_cleanup_script.main()
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def database(tmp_path):
    (tmp_path / "jobs.db").touch()
    return {"name": "jobs", "path": str(tmp_path / "jobs.db"), "table": "jobs"}


def test_the_script_is_installed_idempotently_runs_and_is_removed(module, tmp_path, database):
    options = {"script": SCRIPT.read_text(), "databases": [database], "cron_schedule": {"minute": "7"}}
    planned = module(**options, cron_state="present", cron_user=ME, _ansible_check_mode=True)
    assert not (tmp_path / "etc").exists()
    done = module(**options, cron_state="present", cron_user=ME)
    assert done["files"] == planned["files"]
    config, cron = done["diff"]
    assert (config["before"], cron["before"]) == ("", "")
    assert '"name": "jobs"' in config["after"]
    assert f"7 * * * * {ME} " in cron["after"]

    script = next(file for file in done["files"] if file.endswith("cleanup_stuck_jobs.py"))
    helped = subprocess.run([sys.executable, "-I", script, "--help"], capture_output=True, text=True, check=True)
    assert "--undo" in helped.stdout
    assert not module(**options, cron_state="present", cron_user=ME)["changed"]

    without_cron = module(**options, cron_state="absent")
    assert without_cron["files"] == [f"{tmp_path}/etc/cron.d/evenkeel-job-cleanup"]
    assert without_cron["diff"][1]["after"] == ""

    assert module(state="absent", databases=[database])["changed"]
    assert not module(state="absent")["changed"]


def test_the_result_tells_whether_cron_is_missing(module, database, monkeypatch):
    monkeypatch.setattr(programs, "PATH", "/nowhere")
    assert module(script="", databases=[database], cron_state="present", cron_user=ME)["cron_missing"]
    assert not module(script="", databases=[database])["cron_missing"]


def test_only_one_run_changes_the_files(module, database):
    with locks.hold(plan.LOCK):
        assert "Another run (process" in module(script="", databases=[database])["msg"]
        assert module(script="", databases=[database], _ansible_check_mode=True)["changed"]
    assert module(script="", databases=[database])["changed"]


def test_a_cron_user_that_does_not_exist_is_an_error(module, tmp_path):
    assert "user 'nosuch' does not exist" in module(script="", cron_state="present", cron_user="nosuch")["msg"]
    assert not (tmp_path / "etc").exists()


def test_a_relative_metrics_file_is_an_error(module):
    assert "metrics_file 'x.prom' is not an absolute path" in module(script="", metrics_file="x.prom")["msg"]


def test_script_is_required_with_state_present(module):
    assert "script" in module()["msg"]


@pytest.fixture
def others(tmp_path):
    """Another application's database."""
    (tmp_path / "photos.db").touch()
    return {"name": "photos", "path": str(tmp_path / "photos.db"), "table": "photos"}


def configured(tmp_path):
    """The names of the databases of each project, and of the schedules."""
    etc = tmp_path / "etc"
    configs = {
        path.name: [each["name"] for each in json.loads(path.read_text())["databases"]]
        for path in (etc / "evenkeel").glob("*.json")
    }
    return configs, sorted(path.name for path in (etc / "cron.d").glob("*"))


A, B = "job_cleanup.a.json", "job_cleanup.b.json"


def test_each_project_has_a_configuration_and_a_schedule_of_its_own(module, tmp_path, database, others):
    cron = {"script": "", "cron_state": "present", "cron_user": ME}
    assert module(**cron, project="a", databases=[database])["changed"]
    assert module(**cron, project="b", databases=[others])["changed"]
    crons = ["evenkeel-job-cleanup-a", "evenkeel-job-cleanup-b"]
    assert configured(tmp_path) == ({A: ["jobs"], B: ["photos"]}, crons)
    assert not module(**cron, project="a", databases=[database])["changed"]
    assert len(module(state="absent", project="b")["files"]) == 2
    assert configured(tmp_path) == ({A: ["jobs"]}, crons[:1])
    assert [file for file in module(state="absent", project="a")["files"] if file.endswith("cleanup_stuck_jobs.py")]
    assert configured(tmp_path) == ({}, [])


def test_a_database_or_metrics_of_another_project_are_refused_unless_taken_over(module, tmp_path, database, others):
    module(script="", project="a", databases=[database, others], metrics_file="/srv/x.prom")
    again = {**database, "name": "mine", "path": f"{tmp_path}//jobs.db"}
    refused = module(script="", project="b", databases=[again])["msg"]
    assert refused.startswith(f"mine: the table 'jobs' in {tmp_path}//jobs.db is cleaned up for project 'a' already. ")
    assert "is that of project 'a' already" in module(script="", project="b", metrics_file="/srv/x.prom")["msg"]
    assert configured(tmp_path)[0] == {A: ["jobs", "photos"]}
    assert module(script="", project="b", databases=[again], take_over=["mine"])["changed"]
    assert configured(tmp_path)[0] == {A: ["photos"], B: ["mine"]}


def test_a_project_that_gets_a_name_takes_its_databases_along(module, tmp_path, database, others):
    cron = {"script": "", "cron_state": "present", "cron_user": ME}
    module(**cron, databases=[database, others])
    assert module(**cron, project="a", databases=[database])["changed"]
    both = ["evenkeel-job-cleanup", "evenkeel-job-cleanup-a"]
    assert configured(tmp_path) == ({"job_cleanup.json": ["photos"], A: ["jobs"]}, both)
    module(**cron, project="b", databases=[others])
    assert configured(tmp_path) == ({A: ["jobs"], B: ["photos"]}, ["evenkeel-job-cleanup-a", "evenkeel-job-cleanup-b"])


def test_without_projects_another_inventorys_configuration_is_left_alone(module, tmp_path, database, others):
    module(script="", databases=[database])
    assert "This host cleans up jobs (" in module(script="", databases=[others])["msg"]
    for options in ({"databases": []}, {"state": "absent"}, {"state": "absent", "databases": [others]}):
        left = module(script="", **options)
        assert not left["changed"]
        assert "for a play without a project, which may not have been this one" in str(left["warnings"])
    assert configured(tmp_path)[0] == {"job_cleanup.json": ["jobs"]}
    assert module(script="", databases=[others, database])["changed"]
    assert module(script="", databases=[others])["changed"], "it has dropped one"
    assert module(script="", databases=[database], take_over=["photos"])["changed"]
    assert configured(tmp_path)[0] == {"job_cleanup.json": ["jobs"]}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"databases": 3}', '{"databases": [3]}', "[" * 10**5, "\xff"])
def test_a_damaged_configuration_has_no_databases_and_is_replaced(module, tmp_path, database, content):
    for name in ("job_cleanup.json", A):
        (tmp_path / "etc/evenkeel").mkdir(parents=True, exist_ok=True)
        (tmp_path / "etc/evenkeel" / name).write_text(content)
    assert module(script="", databases=[database])["changed"]
    assert module(script="", databases=[database], project="a")["changed"]


def test_a_projects_name_is_checked(module):
    assert "evenkeel_project '../x' is not a project's name" in module(script="", project="../x")["msg"]


def test_a_password_is_refused_and_not_shown(module):
    entry = {"name": "jobs", "login_db": "shop", "system_user": "nobody", "table": "jobs", "login_password": "hunter2"}
    failed = module(script="", databases=[entry], cron_state="absent")
    assert "login_password would stand in /etc/evenkeel" in failed["msg"]
    assert "hunter2" not in json.dumps(failed)
