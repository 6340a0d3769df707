"""Faults in real workers: one that hangs is restarted in time, one that works never is."""

import pytest

WATCHDOG, RESTART_SEC = 10, 1  # seconds; converge.yml
ABORT_TIMEOUT, NEVER_RESTARTED = 10, 90  # TimeoutAbortSec; more than the grace of 60
# docs/watchdog.md: noticed by one of the four pings in each `watchdog`, aborted or killed, started after restart_sec.
BOUND = WATCHDOG + WATCHDOG / 4 + ABORT_TIMEOUT + RESTART_SEC
HANGS = {
    "stopped": "Watchdog timeout (limit 10s)!",
    "blocked": "evenkeel_watchdog: asking systemd for a restart: the consumer's loop has not turned for",
    "gil-held": "Watchdog timeout (limit 10s)!",
    "unabortable": "State 'stop-watchdog' timed out. Killing.",  # it ignores SIGABRT
}


@pytest.mark.parametrize("worker", HANGS)
def test_a_hung_worker_is_restarted(server, injected, restarted, recovered, worker):
    run = restarted(worker)
    recovered(f"hang: {worker}", run.ready - injected["moment"])
    assert run.began - injected["moment"] <= BOUND + run.slowness
    assert HANGS[worker] in server.journal(worker)
    server.serve(worker)


def test_at_most_the_task_that_redis_handed_to_a_stopped_worker_is_lost(server, restarted):
    restarted("stopped")
    server.serve("stopped")  # which takes them in order
    lost = [task for task in (f"handed-{number}" for number in range(4)) if not server.done(task)]
    assert lost in ([], ["handed-0"])


def test_a_killed_child_causes_no_restart(server, injected, unharmed):
    server.serve("childless")
    assert injected["killed"]
    assert not set(server.children(injected["pids"]["childless"])) & set(injected["killed"])
    assert unharmed("childless"), server.journal("childless")


@pytest.mark.parametrize("worker", ["busy-prefork", "busy-threads", "busy-solo"])
def test_a_long_task_causes_no_restart(server, unharmed, worker):
    server.wait_for(lambda: server.done(worker), f"the long task of {worker}")
    assert unharmed(worker), server.journal(worker)


def test_a_warm_shutdown_is_not_interrupted(server):
    server.wait_for(lambda: server.done("draining"), "the long task of the worker that stops")
    inactive = {"ActiveState": "inactive", "Result": "success"}
    server.wait_for(lambda: server.show("draining", *inactive) == inactive, "the end of that worker")
    assert "Watchdog timeout" not in server.journal("draining")


@pytest.fixture
def long_after(server, injected):
    """Waits until a restart that must not come would have come."""
    server.wait_for(
        lambda: server.now() > injected["waiting"] + NEVER_RESTARTED, "the time in which a wrong restart would come"
    )


@pytest.mark.usefixtures("long_after")
@pytest.mark.parametrize("worker", ["cancelled", "paused", "rate-limited", "eta", "sender"])
def test_tasks_that_wait_on_purpose_cause_no_restart(server, unharmed, worker):
    assert unharmed(worker), server.journal(worker)
    assert not server.done(f"{worker}-59"), "it did not wait"


@pytest.mark.usefixtures("long_after")
def test_an_idle_worker_is_not_restarted(server, unharmed):
    assert unharmed("idle"), server.journal("idle")
    assert server.show("idle", "StatusText")["StatusText"].startswith("ready; 0 running, 0 taken")
    server.serve("idle")


def test_an_application_that_does_not_load_fails_the_start_at_once(server, injected):
    """Without waiting for start_timeout."""
    worker, directory = "draining", "/run/systemd/system/draining.service.d"
    inactive = {"ActiveState": "inactive"}
    server.wait_for(lambda: server.show(worker, *inactive) == inactive, "the end of its previous run")
    setting = "[Service]\\nRestart=no\\nEnvironment=SHOP_IS_BROKEN=1\\n"
    server.check_output(f"mkdir -p {directory} && printf '{setting}' > {directory}/broken.conf")
    server.check_output("systemctl daemon-reload")
    start = server.run(f"systemctl start {worker}")
    failed = server.show(worker, "ActiveState", "Result")
    server.check_output(f"rm -r {directory} && systemctl daemon-reload")
    assert start.rc == 1
    assert failed == {"ActiveState": "failed", "Result": "exit-code"}
    assert "this release is broken" in server.journal(worker)
