"""What the scenarios' tests share: waiting, playbooks, and the journal of a host whose test failed."""

import json
import os
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


def _run_playbook(host, playbook, *options, callback):
    """Runs a playbook against the one host that a test is about, in the state that the tests before have left it in."""
    limit = f"--limit={host.backend.get_hostname()}"
    return subprocess.run(
        [
            "ansible-playbook",
            f"--inventory={os.environ['MOLECULE_INVENTORY_FILE']}",
            limit,
            PROJECT / playbook,
            *options,
        ],
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": callback, "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def ansible_playbook(host):
    """Runs a playbook on this host; returns its counts: {"ok": 7, "changed": 0, …}. A failure is an AssertionError."""

    def run(playbook, *options):
        result = _run_playbook(host, playbook, *options, callback="ansible.posix.json")
        assert "{" in result.stdout, result.stderr
        report = json.loads(result.stdout[result.stdout.index("{") :])
        failures = [
            f"{task['task']['name']}: {outcome.get('msg')}"
            for play in report["plays"]
            for task in play["tasks"]
            for outcome in task["hosts"].values()
            if outcome.get("failed")
        ]
        assert result.returncode == 0, "\n".join([*failures, result.stderr])
        (counts,) = report["stats"].values()
        return counts

    return run


@pytest.fixture
def ansible_output(host):
    """All that a run of a playbook on this host prints."""
    return lambda playbook, *options: _run_playbook(host, playbook, *options, callback="default").stdout
