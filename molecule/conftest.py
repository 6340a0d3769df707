"""Common to the scenarios' tests: waiting, playbooks, the shop, measurements, and the journal of a failed test."""

import json
import os
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import pytest
import testinfra

PROJECT = Path(__file__).parents[1]
# How long a test waits for a condition without a documented time, so that a failing run ends. If a time is documented,
# a test compares timestamps of the host.
PATIENCE = 300  # seconds
# Keeps a task that is too large from being swapped out, on cgroup v1, where memory_max limits only RAM, and on v2.
KEEP_OUT_OF_SWAP = """
v1=$(sed -n 's/.*:memory://p' /proc/$1/cgroup) v2=$(sed -n 's/^0:://p' /proc/$1/cgroup)
if test "$v1"; then echo 0 > "/sys/fs/cgroup/memory$v1/memory.swappiness"
else echo max > "/sys/fs/cgroup$v2/memory.high" && echo 0 > "/sys/fs/cgroup$v2/memory.swap.max"; fi
"""
# Tasks of shared/shop.
SEND = """
import json, sys
sys.path.insert(0, "/opt/shop")
from shop import app
task, name, arguments, *queues = sys.argv[1:]
for queue in queues:
    app.send_task(f"shop.{task}", [name + queue, *json.loads(arguments)], queue=queue, task_id=name + queue)
"""


def pytest_itemcollected(item):
    """Hosts are tested in parallel, each by a process of its own, unless a test has another group."""
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


def wait_for(condition, what):
    """The condition's first true value; fails with `what` if there is none."""
    begun = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - begun
        assert waited < PATIENCE, f"waited {PATIENCE} s in vain for {what}"
        time.sleep(min(1, 0.3 + waited / 10))  # each look takes time from what is waited for


@pytest.fixture(name="wait_for", scope="session")
def wait_for_fixture():
    return wait_for


def _run_playbook(playbook, *options, callback):
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent  # with what the scenario has linked into it
    return subprocess.run(
        ["ansible-playbook", f"--inventory={inventory}", PROJECT / playbook, *options],
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": callback, "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


def _limit(host):
    """Limits a playbook to the host that is being tested."""
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
    """Runs a playbook on this host; returns its output, with warnings."""

    def run(playbook, *options):
        result = _run_playbook(playbook, _limit(host), *options, callback="default")
        return result.stdout + result.stderr

    return run


@pytest.fixture(scope="session")
def rollout():
    """Runs a playbook on all hosts; returns the finished process."""
    return lambda playbook, *options: _run_playbook(playbook, *options, callback="default")


class Run(NamedTuple):
    """One run of a service. Times are seconds since 1970 by the host's clock; 0: not yet."""

    id: str  # systemd's InvocationID: unlike a process id, it is never reused
    state: str
    began: float  # when its main process was started
    ready: float

    @property
    def slowness(self):
        """How long the start took, in seconds: the tolerance for a limit on when this run began.

        On a busy machine everything is late. A documented time covers timers that elapse and processes that end, which
        is far less work than a start; so a start at the same moment measures how slow the machine is.
        """
        return self.ready - self.began


class Server:
    """A host, observed from outside, and the shop on it, if it has one."""

    def __init__(self, host):
        self.host, self.wait_for = host, wait_for
        self.name, self.proofs = host.backend.get_hostname(), 0
        self.run, self.check_output = host.run, host.check_output

    def show(self, unit, *properties):
        """Properties of a unit as systemd has them now: {"MainPID": "42", …}."""
        output = self.check_output("systemctl show --timestamp=us+utc %s --property=%s", unit, ",".join(properties))
        return dict(line.split("=", 1) for line in output.splitlines())

    def run_of(self, unit):
        now = self.show(unit, "InvocationID", "ActiveState", "ExecMainStartTimestamp", "ActiveEnterTimestamp")
        times = map(_seconds, (now["ExecMainStartTimestamp"], now["ActiveEnterTimestamp"]))
        return Run(now["InvocationID"], now["ActiveState"], *times)

    def next_run(self, unit, before):
        """Waits until the unit is active in another run than this one (an id); returns that."""

        def again():
            run = self.run_of(unit)
            return run if run.state == "active" and run.id != before else None

        return self.wait_for(again, f"a new run of {unit}")

    def now(self):
        """By the host's clock."""
        return float(self.check_output("date +%s.%N"))

    def children(self, main):
        """The processes that this one has started."""
        return self.run("pgrep --parent %s", str(main)).stdout.split()

    def keep_out_of_swap(self, unit):
        """Has the kernel kill what exceeds the unit's memory limit, instead of swapping it out."""
        self.check_output("sh -c %s - %s", KEEP_OUT_OF_SWAP, self.show(unit, "MainPID")["MainPID"])

    def journal(self, *matches, output="cat", since=0.0):
        """The journal of these units, or fields (_PID=1), since a time of now(), with messages that are in a queue."""
        units = " ".join(match if "=" in match else f"--unit={match}.service" for match in matches)
        # With microseconds, like all of its messages: a time that is rounded loses some, or has some that are older.
        return self.check_output(
            f"journalctl --sync && journalctl --no-pager --output={output} --since=@{since:.6f} {units}"
        )

    def call(self, task, name, *queues, arguments=(), port=6380):
        """Sends a task of the shop to each queue. Its id, which it also logs, is `name` and the queue."""
        python = f"BROKER=redis://127.0.0.1:{port}/0 /opt/shop/venv/bin/python -c %s {' '.join(['%s'] * 3)} "
        self.check_output(python + " ".join(queues), SEND, task, name, json.dumps(arguments))

    def send(self, name, seconds, *queues, port=6380):
        """Sends a task of so many seconds to each queue."""
        self.call("sleep", name, *queues, arguments=[seconds], port=port)

    def hold(self, name, *queues):
        """Has the workers of these queues run a task that ends only when the test releases it."""
        self.send(name, None, *queues)
        self.wait_for(lambda: self.done(*(f"begun-{name}{queue}" for queue in queues)), f"{name} to begin in {queues}")

    def release(self, *tasks):
        self.check_output("cd /opt/shop/data && touch " + " ".join(f"released-{task}" for task in tasks))

    def times(self, task):
        """How often the task was completed."""
        return self._log().count(task)

    def begun(self, task):
        """How often the task was started."""
        return self.times(f"begun-{task}")

    def done(self, *tasks):
        """Whether all of these tasks were completed. Fails if one was completed twice."""
        log = self._log()
        assert not [task for task in tasks if log.count(task) > 1], "done more than once"
        return set(tasks) <= set(log)

    def _log(self):
        return self.check_output("cat /opt/shop/data/done.log").split()

    def serve(self, *queues, port=6380):
        """Has the workers of these queues execute a task, and waits for it."""
        self.proofs += 1
        name = f"proof-{time.time():.0f}-{self.proofs}-"
        self.send(name, 0, *queues, port=port)
        self.wait_for(lambda: self.done(*(name + queue for queue in queues)), f"a task done by {queues}")


def _seconds(timestamp):
    """Of a timestamp of systemd: Fri 2026-11-27 05:38:19.123456 UTC, or empty."""
    if not timestamp:
        return 0.0
    return datetime.strptime(timestamp, "%a %Y-%m-%d %H:%M:%S.%f %Z").replace(tzinfo=timezone.utc).timestamp()


@pytest.fixture(scope="module")
def server(host):
    return Server(host)


@pytest.fixture
def show(server):
    return server.show


@pytest.fixture(scope="module")
def sqlite(host):
    """Executes SQL in a database, by default as root and read-only. Like any client, it waits while others write."""

    def run(database, sql, user=None):
        shell = f"runuser --user {user} -- sqlite3" if user else "sqlite3 -readonly"
        return host.check_output(f"{shell} -cmd '.timeout 30000' %s %s", str(database), sql)

    return run


@pytest.fixture(scope="session")
def servers():
    """All hosts of the scenario, for faults that occur on all of them at the same time."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    return [Server(host) for host in testinfra.get_hosts(["all"], connection="ansible", ansible_inventory=inventory)]


@pytest.fixture
def noted(request, host):
    """Records a measurement for the table at the end of the run."""

    def note(what, value):
        request.node.user_properties.append(("noted", (what, host.backend.get_hostname(), value)))

    return note


@pytest.fixture
def recovered(noted):
    """Records how long the recovery from a fault took, in seconds (docs/faults.md)."""
    return lambda fault, seconds: noted(fault, f"{seconds:.1f} s")


def pytest_terminal_summary(terminalreporter):
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    notes = {value for report in reports for name, value in getattr(report, "user_properties", ()) if name == "noted"}
    if notes:
        terminalreporter.section("measured")
    for what, name, value in sorted(notes):
        terminalreporter.write_line(f"{value:>9}  {what} ({name})")
