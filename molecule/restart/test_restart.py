"""Workers are restarted and killed in the middle of 200 tasks, reach their limits, and lose no task.

events.py causes all faults at the same moment on all hosts; each test then waits for the outcome of one fault.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

HANDS_BACK = (5, 5)  # Celery from this version on


@pytest.fixture(scope="session")
def injected(servers):
    """When it happened on each host: {"moment": …}."""
    with ThreadPoolExecutor() as at_once:
        results = at_once.map(lambda server: json.loads(server.check_output("/opt/shop/events.py")), servers)
        return {server.name: result for server, result in zip(servers, results)}


@pytest.fixture
def moment(injected, server):
    return injected[server.name]["moment"]


def test_a_restart_finishes_active_tasks_and_loses_none(server, moment, all_done):
    assert all_done("restarted") == 0
    assert server.show("restarted", "ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}
    assert "Warm shutdown" in server.journal("restarted")


def test_killed_children_lose_no_task(server, moment, all_done):
    all_done("childless")
    assert server.show("childless", "NRestarts") == {"NRestarts": "0"}
    assert "signal 9 (SIGKILL)" in server.journal("childless")


@pytest.mark.parametrize(("worker", "result"), [("crashing", "exit-code"), ("dying", "signal")])
def test_a_crash_loop_ends_in_the_failed_state(server, moment, worker, result):
    failed = {"ActiveState": "failed", "Result": result}
    server.wait_for(lambda: server.show(worker, *failed) == failed, f"{worker} to reach its start limit")
    assert "Start request repeated too quickly" in server.journal(worker)
    assert "failed" in server.run("systemctl status --no-pager %s", worker).stdout


def test_a_failed_worker_starts_again_after_reset_failed(server, moment):
    server.wait_for(lambda: server.run("systemctl is-failed --quiet crashing").rc == 0, "it to reach its start limit")
    server.check_output("rm -r /run/systemd/system/crashing.service.d && systemctl daemon-reload")
    server.check_output("systemctl reset-failed crashing && systemctl start crashing")
    server.serve("crashing")


def test_a_killed_worker_loses_no_task(server, moment, all_done):
    """Its active tasks are redelivered after the visibility timeout."""
    assert all_done("killed") <= 10
    assert server.show("killed", "NRestarts") == {"NRestarts": "1"}


def test_a_task_longer_than_stop_timeout_is_redelivered(server, moment, recovered):
    """At once if Celery can return it to the queue, otherwise after the visibility timeout."""
    server.wait_for(lambda: server.begun("long") > 1, "the task to begin again")
    server.release("long")
    server.wait_for(lambda: server.times("long"), "the task")
    lines = server.journal("bounded", output="short-unix").splitlines()
    again = [float(line.split()[0]) for line in lines if line.endswith(" received")][1]
    recovered("a task longer than stop_timeout (20 s): comes again", again - moment)
    version = server.check_output("/opt/shop/venv/bin/celery --version").split()[0]
    hands_back = tuple(map(int, version.split(".")[:2])) >= HANDS_BACK
    journal = server.journal("bounded")
    assert ("Restoring 1 unacknowledged message" in journal) == hands_back
    assert ("State 'stop-sigterm' timed out. Killing." in journal) != hands_back
