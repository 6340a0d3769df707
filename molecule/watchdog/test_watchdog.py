"""Faults, injected into live workers: a hung one is back in time, a healthy one is never restarted.

faults.py makes all of them ill at the same moment; each test then waits for the end of its own story.
"""

import json
import time

import pytest

WATCHDOG, OUTAGE = 10, 30  # seconds; converge.yml, faults.py
HANGS = {
    "stopped": "Watchdog timeout (limit 10s)!",
    "blocked": "evenkeel_watchdog: asking systemd for a restart: the consumer's loop has not turned for",
    "gil-held": "Watchdog timeout (limit 10s)!",
}


@pytest.fixture(scope="module")
def injected(host):
    """All faults at once: {"moment": …, "pids": {worker: main process}}."""
    return json.loads(host.check_output("/opt/shop/faults.py"))


@pytest.fixture
def moment(injected):
    return injected["moment"]


@pytest.fixture
def pids(injected):
    return injected["pids"]


@pytest.fixture
def unharmed(server, pids):
    """Not restarted since before the fault."""

    def run(worker):
        now = server.show(worker, "MainPID", "NRestarts", "ActiveState")
        return now == {"MainPID": str(pids[worker]), "NRestarts": "0", "ActiveState": "active"}

    return run


@pytest.mark.parametrize("worker", HANGS)
def test_a_hung_worker_is_back(server, moment, pids, recovered, worker):
    def again():
        now = server.show(worker, "MainPID", "ActiveState")
        return now["ActiveState"] == "active" and now["MainPID"] != str(pids[worker])

    server.wait_for(again, 3 * WATCHDOG, f"a new {worker}")
    took = float(server.show(worker, "ActiveEnterTimestamp")["ActiveEnterTimestamp"].strip("@")) - moment
    recovered(f"hang: {worker}", took)
    assert took < WATCHDOG + 15
    assert HANGS[worker] in server.journal(worker)
    server.serve(worker)


def test_a_killed_child_costs_no_restart(server, injected, unharmed):
    server.serve("childless")
    children = server.check_output(f"pgrep --parent {injected[server.name]['pids']['childless']}").split()
    assert children
    assert not set(children) & set(injected[server.name]["killed"])
    assert unharmed("childless"), server.journal("childless")


@pytest.mark.parametrize("worker", ["busy-prefork", "busy-threads", "busy-solo"])
def test_a_long_task_costs_no_restart(server, unharmed, worker):
    server.wait_for(lambda: server.done(worker), 2 * OUTAGE, f"the long task of {worker}")
    assert unharmed(worker), server.journal(worker)


def test_a_warm_stop_is_not_cut_short(server):
    server.wait_for(lambda: server.done("draining"), 2 * OUTAGE, "the long task of the worker that stops")
    inactive = {"ActiveState": "inactive", "Result": "success"}
    server.wait_for(lambda: server.show("draining", *inactive) == inactive, 15, "the end of that worker")
    assert "Watchdog timeout" not in server.journal("draining")


@pytest.mark.parametrize(("worker", "port"), [("broker-stopped", 6381), ("broker-frozen", 6382)])
def test_an_outage_of_the_broker_costs_no_restart(server, moment, unharmed, worker, port):
    server.wait_for(lambda: time.time() > moment + OUTAGE, 2 * OUTAGE, "the end of the outage")
    server.wait_for(lambda: server.run(f"timeout 1 redis-cli -p {port} ping").stdout == "PONG\n", OUTAGE, "the broker")
    server.serve(worker, port=port)
    assert unharmed(worker), server.journal(worker)


def test_an_idle_worker_is_left_in_peace(server, moment, unharmed):
    server.wait_for(lambda: time.time() > moment + 6 * WATCHDOG, 6 * WATCHDOG, "a minute")
    assert unharmed("idle"), server.journal("idle")
    assert server.show("idle", "StatusText")["StatusText"].startswith("ready; 0 running, 0 taken")
    server.serve("idle")


def test_an_application_that_does_not_load_fails_the_start_at_once(server):
    directory = "/run/systemd/system/draining.service.d"
    setting = "[Service]\\nRestart=no\\nEnvironment=SHOP_IS_BROKEN=1\\n"
    server.check_output(f"mkdir -p {directory} && printf '{setting}' > {directory}/broken.conf")
    server.check_output("systemctl daemon-reload")
    start = server.run("timeout 15 systemctl start draining")
    server.check_output(f"rm -r {directory} && systemctl daemon-reload")
    assert start.rc == 1, "124: the start was still waiting"
    assert "this release is broken" in server.journal("draining")
