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

    assert module(state="absent")["changed"]
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
