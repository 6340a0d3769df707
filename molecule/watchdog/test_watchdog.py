"""Faults, injected into live workers: a hung one is back in time, a healthy one is never restarted."""

import time

import pytest

WATCHDOG, GRACE, ABORT_TIMEOUT, OUTAGE = 10, 60, 10, 30  # seconds; the last one is of faults.py
HANGS = {
    "stopped": "Watchdog timeout (limit 10s)!",
    "blocked": "evenkeel_watchdog: asking systemd for a restart: the consumer's loop has not turned for",
    "gil-held": "Watchdog timeout (limit 10s)!",
}


@pytest.mark.parametrize("worker", HANGS)
def test_a_hung_worker_is_back(server, back_after, recovered, worker):
    took = back_after(worker)
    recovered(f"hang: {worker}", took)
    assert took < GRACE
    assert HANGS[worker] in server.journal(worker)
    server.serve(worker)


def test_a_hung_worker_that_does_not_heed_sigabrt_is_killed_soon(server, back_after, recovered):
    took = back_after("unabortable")
    recovered("hang: unabortable", took)
    assert WATCHDOG + ABORT_TIMEOUT < took < GRACE
    assert "State 'stop-watchdog' timed out. Killing." in server.journal("unabortable")
    server.serve("unabortable")


def test_redis_loses_at_most_the_task_that_it_handed_to_a_frozen_worker(server, back_after):
    back_after("stopped")
    server.serve("stopped")  # which takes them in order
    sent = ["handed-0", "handed-1", "handed-2", "sent-later"]
    assert [task for task in sent if not server.done(task)] in ([], ["handed-0"])


def test_a_killed_child_costs_no_restart(server, injected, unharmed):
    server.serve("childless")
    children = server.check_output(f"pgrep --parent {injected['pids']['childless']}").split()
    assert children
    assert not set(children) & set(injected["killed"])
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


@pytest.mark.parametrize("worker", ["cancelled", "rate-limited", "eta"])
def test_tasks_that_are_meant_to_wait_cost_no_restart(server, injected, unharmed, worker):
    server.wait_for(lambda: time.time() > injected["moment"] + GRACE + 30, 2 * GRACE, "the grace, and more")
    assert unharmed(worker), server.journal(worker)


def test_an_idle_worker_is_left_in_peace(server, injected, unharmed):
    server.wait_for(lambda: time.time() > injected["moment"] + GRACE + 30, 2 * GRACE, "the grace, and more")
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
