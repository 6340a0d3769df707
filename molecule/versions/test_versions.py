"""Celery 5.3 to 5.7 in each pool, and applications in all forms: ready, at work, restarted, back after a hang."""

import re
import time

import pytest

WATCHDOG = 10  # seconds; converge.yml
CALL_BURN = "cd /opt/shop && venv/bin/celery -A shop call shop.burn --args='[\"block\", 60]' --queue=blocker"
FORMS = ["module", "factory", "package", "django"]


@pytest.fixture(scope="module")
def workers(server):
    """One for each form of application, and celery-VERSION-POOL for all others."""
    listed = server.check_output("systemctl list-units --no-legend --plain 'celery-*.service'").splitlines()
    return [*FORMS, *(line.split()[0].removesuffix(".service") for line in listed)]


@pytest.fixture(scope="module")
def main_pids(server):
    return lambda workers: {worker: server.show(worker, "MainPID")["MainPID"] for worker in workers}


@pytest.fixture(scope="module")
def new_pids(server, main_pids):
    """Waits until all of these workers are ready with other main processes than before."""

    def run(before):
        def ready():
            now = [server.show(worker, "MainPID", "ActiveState") for worker in before]
            return all(each["ActiveState"] == "active" for each in now) and not (
                {each["MainPID"] for each in now} & set(before.values())
            )

        server.wait_for(ready, 120, f"new main processes of {list(before)}")

    return run


def test_each_is_ready_and_serves(server, workers):
    server.serve(*workers)

    def at_rest(worker):
        return re.fullmatch(
            "ready; 0 running, 0 taken, [1-9][0-9]* started in all", server.show(worker, "StatusText")["StatusText"]
        )

    server.wait_for(lambda: all(map(at_rest, workers)), 60, "their status")
    for worker in workers:
        assert server.show(worker, "ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}
        assert worker in FORMS or f" v{worker.split('-')[1]}." in server.journal(worker), "another version"


def test_each_finishes_its_task_when_it_is_restarted(server, workers, main_pids, new_pids):
    before = main_pids(workers)
    name = f"restarted-{time.time():.0f}-"
    server.send(name, 5, *workers)
    server.wait_for(lambda: server.done(*(f"begun-{name}{worker}" for worker in workers)), 60, "their tasks")
    server.check_output("systemctl restart " + " ".join(workers))
    assert server.done(*(name + worker for worker in workers))
    new_pids(before)
    server.serve(*workers)


def test_a_task_that_blocks_gevents_loop_is_a_hang_and_one_that_sleeps_is_none(server, main_pids, new_pids, recovered):
    before, moment = main_pids(["sleeper", "blocker"]), time.time()
    server.send("long-", 3 * WATCHDOG, "sleeper")
    server.check_output(CALL_BURN)
    new_pids({"blocker": before["blocker"]})
    recovered("hang: a task blocks gevent's loop", time.time() - moment)
    assert "the consumer's loop has not turned" in server.journal("blocker")
    server.serve("blocker")
    server.wait_for(lambda: server.done("long-sleeper"), 6 * WATCHDOG, "the task that sleeps")
    assert main_pids(["sleeper"])["sleeper"] == before["sleeper"]


def test_each_is_back_after_a_hang(server, workers, main_pids, new_pids, recovered):
    before, moment = main_pids(workers), time.time()
    server.check_output("kill -STOP " + " ".join(before.values()))
    new_pids(before)
    for worker in workers:
        since = server.show(worker, "ActiveEnterTimestamp")["ActiveEnterTimestamp"]
        recovered(f"hang: {worker}", float(since.strip("@")) - moment)
        assert "Watchdog timeout (limit 10s)!" in server.journal(worker)
    server.serve(*workers)
