"""What the scenarios' tests share: waiting for a condition, running a playbook, and the journal of a host that failed."""

import json
import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    host = getattr(item, "funcargs", {}).get("host")
    if report.failed and host:
        journal = host.run("journalctl --no-pager --lines=80").stdout
        report.sections.append(("journal of " + item.name, journal))


def wait_for(condition, seconds, what):
    """The condition's first true value; fails with `what` if there is none in time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
        time.sleep(0.3)


def _show(host, unit, *properties):
    """Properties of a unit as systemd has them now: {"MainPID": "42", …}."""
    wanted = ",".join(properties)
    lines = host.check_output("systemctl show %s --property=%s", unit, wanted).splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture(name="wait_for", scope="session")
def wait_for_fixture():
    return wait_for


@pytest.fixture
def show(host):
    return lambda unit, *properties: _show(host, unit, *properties)


@pytest.fixture(scope="session")
def ansible_playbook():
    """Runs a playbook against this scenario's hosts; returns each host's counts: {"host": {"changed": 0, …}}."""

    def run(playbook, *options, check=True):
        result = subprocess.run(
            ["ansible-playbook", "--inventory", os.environ["MOLECULE_INVENTORY_FILE"], str(PROJECT / playbook), *options],
            env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_FORCE_COLOR": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        report = json.loads(result.stdout[result.stdout.index("{") :]) if "{" in result.stdout else {}
        failures = [
            f"{task['task']['name']}: {host}: {outcome.get('msg')}"
            for play in report.get("plays", [])
            for task in play["tasks"]
            for host, outcome in task["hosts"].items()
            if outcome.get("failed")
        ]
        assert not check or result.returncode == 0, "\n".join([shlex.join(result.args), *failures, result.stderr])
        return report.get("stats", {})

    return run
