"""The playbook, where a host can't be asked."""

import json
import os
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SUDO = """#!/bin/sh
echo "$@" | grep -o '\\[sudo via ansible[^]]*\\] password:' >&2
echo 'Sorry, try again.' >&2
exit 1
"""


@pytest.fixture
def run(tmp_path):
    """Runs it for one host, whose sudo takes no password."""
    sudo = tmp_path / "sudo"
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    host = {"ansible_connection": "local", "ansible_become_exe": str(sudo), "ansible_become_password": "wrong"}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"celery_workers": {"hosts": {"vps": host}}}))
    environment = {**os.environ, "ANSIBLE_BECOME_ALLOW_SAME_USER": "true", "ANSIBLE_FORCE_COLOR": "0"}

    def play(*options):
        command = ["ansible-playbook", f"--inventory={inventory}", PROJECT / "playbooks/report.yml", *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return play


def test_the_only_host_is_reported_though_root_can_t_be_had(run, tmp_path):
    path = tmp_path / "report.json"
    result = run("--extra-vars", json.dumps({"celery_report_file": [str(path)]}))
    assert result.returncode == 2, result.stdout + result.stderr
    report = json.loads(path.read_text())
    assert (report["exit_code"], [*report["no_answer"]]) == (1, ["vps"])


def test_it_is_verified_too(run):
    result = run("--tags", "verify")
    assert "No check failed, 1 can't be known." in result.stdout, result.stdout + result.stderr
