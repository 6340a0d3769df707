"""What the scenarios' tests share: waiting, playbooks, the shop, what is worth noting, a failed test's journal."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
import testinfra

PROJECT = Path(__file__).parents[1]
# Tasks of shared/shop.
SEND = (
    "import sys; sys.path.insert(0, '/opt/shop'); from shop import app;"
    " [app.send_task('shop.sleep', [sys.argv[1] + queue, float(sys.argv[2])], queue=queue) for queue in sys.argv[3:]]"
)


def pytest_itemcollected(item):
    """Hosts are tested side by side, each by a process of its own, unless a scenario's tests say otherwise."""
    if "host" in item.fixturenames and not item.get_closest_marker("xdist_group"):
        name = item.callspec.params["_testinfra_host"].backend.get_hostname()
        item.add_marker(pytest.mark.xdist_group(name))


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
    """Properties of a unit as systemd has them now: {"MainPID": "42", …}; times as in @1767225600."""
    output = host.check_output("systemctl show --timestamp=unix %s --property=%s", unit, ",".join(properties))
    return dict(line.split("=", 1) for line in output.splitlines())


@pytest.fixture(name="wait_for", scope="session")
def wait_for_fixture():
    return wait_for


@pytest.fixture
def show(host):
    return lambda unit, *properties: _show(host, unit, *properties)


def _run_playbook(playbook, *options, callback):
    return subprocess.run(
        ["ansible-playbook", f"--inventory={os.environ['MOLECULE_INVENTORY_FILE']}", PROJECT / playbook, *options],
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": callback, "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


def _limit(host):
    """To the one host that a test is about, in the state that the tests before have left it in."""
    return f"--limit={host.backend.get_hostname()}"


@pytest.fixture(scope="module")
def ansible_playbook(host):
    """Runs a playbook on this host; returns its counts: {"ok": 7, "changed": 0, …}. A failure is an AssertionError."""

    def run(playbook, *options):
        result = _run_playbook(playbook, _limit(host), *options, callback="ansible.posix.json")
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


@pytest.fixture(scope="module")
def ansible_output(host):
    """All that a run of a playbook on this host prints, warnings too."""

    def run(playbook, *options):
        result = _run_playbook(playbook, _limit(host), *options, callback="default")
        return result.stdout + result.stderr

    return run


@pytest.fixture(scope="session")
def rollout():
    """Runs a playbook on all hosts; returns the finished process."""
    return lambda playbook, *options: _run_playbook(playbook, *options, callback="default")


@pytest.fixture(scope="session")
def hosts():
    """All of the scenario's, for what happens on them at the same time."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    return testinfra.get_hosts(["all"], connection="ansible", ansible_inventory=inventory)


class Server:
    """A host that runs the shop, looked at from outside."""

    def __init__(self, host, wait_for):
        self.host, self.wait_for = host, wait_for
        self.name, self.proofs = host.backend.get_hostname(), 0
        self.run, self.check_output = host.run, host.check_output

    def show(self, unit, *properties):
        return _show(self.host, unit, *properties)

    def journal(self, unit):
        return self.check_output("journalctl --no-pager --output=cat --unit %s", unit)

    def send(self, name, seconds, *queues, port=6380):
        """Sends a task of so many seconds to each queue: it is done as `name` and the queue."""
        words = f"{name} {seconds} {' '.join(queues)}"
        self.check_output(f'BROKER=redis://127.0.0.1:{port}/0 /opt/shop/venv/bin/python -c "{SEND}" {words}')

    def done(self, *tasks):
        """Have all of these been done, and none of them twice?"""
        log = self.check_output("cat /opt/shop/data/done.log").split()
        assert not [task for task in tasks if log.count(task) > 1], "done more than once"
        return set(tasks) <= set(log)

    def serve(self, *queues, port=6380):
        """The workers of these queues have a task done now."""
        self.proofs += 1
        name = f"proof-{time.time():.0f}-{self.proofs}-"
        self.send(name, 0, *queues, port=port)
        self.wait_for(lambda: self.done(*(name + queue for queue in queues)), 60, f"a task done by {queues}")


@pytest.fixture(scope="module")
def server(host, wait_for):
    """A host that runs the shop."""
    return Server(host, wait_for)


@pytest.fixture
def noted(request, host):
    """Notes a measurement: the run ends with a table of them."""

    def note(what, value):
        request.node.user_properties.append(("noted", (what, host.backend.get_hostname(), value)))

    return note


@pytest.fixture
def recovered(noted):
    """Notes how long recovery from a fault took, in seconds (docs/faults.md)."""
    return lambda fault, seconds: noted(fault, f"{seconds:.1f} s")


def pytest_terminal_summary(terminalreporter):
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    notes = {value for report in reports for name, value in getattr(report, "user_properties", ()) if name == "noted"}
    if notes:
        terminalreporter.section("measured")
    for what, name, value in sorted(notes):
        terminalreporter.write_line(f"{value:>9}  {what} ({name})")
