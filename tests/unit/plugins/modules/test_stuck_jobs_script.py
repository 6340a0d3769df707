"""The module that installs cleanup_stuck_jobs.py: one call, idempotent, and no leftovers."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.evenkeel.celery.plugins.modules import stuck_jobs_script
from project import PROJECT

SCRIPT = PROJECT / "roles" / "job_cleanup" / "files" / "cleanup_stuck_jobs.py"


@pytest.fixture
def module(capsys, tmp_path):
    def run(**args):
        args = {"directory": str(tmp_path / "lib"), **args}
        with patch_module_args(args), pytest.raises(SystemExit):
            stuck_jobs_script.main()
        return json.loads(capsys.readouterr().out)

    return run


def test_it_is_installed_once_runs_and_goes(module, tmp_path):
    present = {"script": SCRIPT.read_text()}
    assert module(**present, _ansible_check_mode=True)["changed"]
    assert not (tmp_path / "lib").exists()

    assert str(tmp_path / "lib" / "engine" / "_stuck_jobs" / "plan.py") in module(**present)["files"]
    script = tmp_path / "lib" / "cleanup_stuck_jobs.py"
    helped = subprocess.run(
        [sys.executable, "-E", "-s", str(script), "--help"], capture_output=True, text=True, check=True
    )
    assert "--undo" in helped.stdout
    assert not module(**present)["changed"]

    old = [tmp_path / "lib" / "engine" / "_common" / "moved.py", tmp_path / "lib" / "stuck_jobs" / "plan.py"]
    for file in old:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    script.chmod(0o644)
    assert module(**present)["files"] == [str(file) for file in (script, *old)]
    assert not (tmp_path / "lib" / "stuck_jobs").exists()

    assert module(state="absent")["changed"]
    assert not list((tmp_path / "lib").iterdir())
    assert not module(state="absent")["changed"]


def test_the_script_is_needed_to_install_it(module):
    assert "script" in module()["msg"]
