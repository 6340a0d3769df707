"""Faults between a worker and its broker: it takes tasks again, with or without a restart."""

import pytest

WATCHDOG, ABORT_TIMEOUT, RESTART_SEC = 10, 10, 1  # seconds; converge.yml, TimeoutAbortSec
GRACE, NEVER_RESTARTED = 60, 90  # for a consumer that is cut off or takes nothing
# docs/watchdog.md: the watchdog queries the broker twice in each `watchdog`, and reports by one of its four pings.
BOUND = WATCHDOG / 2 + GRACE + WATCHDOG / 4 + ABORT_TIMEOUT + RESTART_SEC
STARVED = "idle, yet tasks have been waiting in its queues for"
CUT_OFF = "although the broker answers"
STUCK = "the consumer's loop has not turned for"
OUTAGES = ["refused", "broker-stopped", "broker-frozen", "broker-restarted"]


@pytest.fixture
def serves_again(server, injected, unharmed, recovered):
    """Waits for the tasks that were sent after a worker's fault. Returns whether it needed no restart for that."""

    def run(worker, fault, since):
        tasks = [f"first-{worker}", f"second-{worker}"]
        server.wait_for(lambda: server.done(*tasks), f"the tasks that wait for {worker}")
        by_itself = unharmed(worker)
        journal = [
            line for line in server.journal(worker, output="short-unix").splitlines() if " succeeded in " in line
        ]
        took = float(journal[-1].split()[0]) - injected[since]
        recovered(f"{fault}: {worker}, by {'itself' if by_itself else 'the watchdog'}", took)
        return by_itself

    return run


@pytest.mark.parametrize("worker", OUTAGES)
def test_an_outage_causes_no_restart(injected, worker):
    assert worker in injected["outlived"]


@pytest.mark.parametrize("worker", OUTAGES)
def test_after_an_outage_the_worker_takes_tasks_again(server, serves_again, worker):
    by_itself, journal = serves_again(worker, "outage", since="over"), server.journal(worker)
    # Celery 5.3 may take no tasks after its first reconnection to Redis.
    assert by_itself or (" v5.3." in journal and STARVED in journal), journal


@pytest.mark.parametrize("worker", ["dropped", "half-open", "half-open-poll"])
def test_after_a_broken_connection_the_worker_takes_tasks_again(server, serves_again, worker):
    by_itself, journal = serves_again(worker, "connection", since="moment"), server.journal(worker)
    assert by_itself or STARVED in journal or STUCK in journal, journal


@pytest.mark.parametrize(
    ("worker", "reason"), [("queueless", STARVED), ("unpolled", STARVED), ("unconnected", CUT_OFF)]
)
def test_a_worker_whose_consumer_takes_no_tasks_is_restarted(server, injected, serves_again, worker, reason):
    assert not serves_again(worker, "consumer", since="moment")
    assert reason in server.journal(worker)
    run = server.run_of(worker)
    assert run.began - injected["waiting"] <= BOUND + run.slowness
    assert server.show(worker, "NRestarts") == {"NRestarts": "1"}


def test_a_worker_that_hangs_while_its_first_broker_is_down_is_restarted(server, injected, restarted, recovered):
    run = restarted("failed-over-blocked")
    recovered("hang: failed-over-blocked", run.ready - injected["moment"])
    assert STUCK in server.journal("failed-over-blocked")
    server.serve("failed-over-blocked", port=6384)


def test_a_worker_connected_to_its_second_broker_is_not_restarted(server, injected, unharmed):
    """Although its first one is up again, with tasks."""
    server.wait_for(
        lambda: server.now() > injected["waiting"] + NEVER_RESTARTED, "the time in which a wrong restart would come"
    )
    server.serve("failed-over", port=6384)
    assert not server.done("at-the-first-broker-0")
    assert unharmed("failed-over"), server.journal("failed-over")
