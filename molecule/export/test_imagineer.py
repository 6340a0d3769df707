"""Imagineer in Debian 13's compose: hangs, a stop in mid-task, a task that is too large, an outage of the broker."""

import json
import time

import pytest

testinfra_hosts = ["export-debian13"]
SYSTEM = "imagineer"
TRAINING, DEFAULT, SCRAPING, LABELING, BEAT = (
    f"imagineer-{name}" for name in ("training", "default", "scraping", "labeling", "beat")
)
HOLD_GIL, HANG, STOP = "RTMIN+1", "RTMIN+2", "STOP"  # files/sitecustomize.py
LIMIT = 10  # seconds; override.yaml.j2
BOUND = LIMIT + LIMIT / 4  # docs/watchdog.md: one of the four pings in each limit notices it
API = "venv/bin/python -B -m server.api"


class Imagineer:
    """As its API sees it."""

    def __init__(self, system):
        self.system = system

    def call(self, task):
        """Has the worker of the default queue do a task, and returns its result."""
        return json.loads(self.system.execute(DEFAULT, f"{API} call {task}"))

    def train(self, run, options):
        self.system.execute(DEFAULT, f"{API} train {run} {options}")

    def of_run(self, run, field):
        return self.system.execute("redis", f"redis-cli hget imagineer:run:{run} {field}")

    def wait_until(self, status, run):
        self.system.wait_for(lambda: self.of_run(run, "status") == status, f"{run} to be {status}")


@pytest.fixture(scope="module")
def imagineer(system):
    return Imagineer(system)


@pytest.fixture(scope="module")
def injected(system):
    """The runs before the faults, and when those were."""
    before = system.runs()
    moments = {}
    for service, signal in ((DEFAULT, HOLD_GIL), (BEAT, HOLD_GIL), (SCRAPING, HANG), (LABELING, STOP)):
        moments[service] = time.time()
        system.signal(service, signal)
    return before, moments


def test_a_task_is_done(imagineer, system, noted):
    noted("export: all of Imagineer is healthy", f"{system.seconds_to_start:.1f} s")
    assert isinstance(imagineer.call("maintenance.record_disk_usage"), int)
    assert system.status(DEFAULT).startswith("ready; 0 running, 0 taken, ")
    assert system.status(BEAT).startswith("waiting, next look in ")


@pytest.mark.parametrize(("service", "function"), [(DEFAULT, "hold_gil"), (BEAT, "hold_gil"), (SCRAPING, "hang")])
def test_what_hangs_ends_itself_with_the_line_and_is_started_again(system, injected, recovered, service, function):
    before, moments = injected
    run = system.next_run(service, before[service])
    recovered(f"export: {function} in {service}", run.began - moments[service])
    assert run.restarts == 1
    assert run.previous_ended - moments[service] <= BOUND + system.seconds_to_start
    assert f"in {function}" in system.log(service)


def test_the_log_says_why_it_ended(system, injected):
    before, _ = injected
    system.next_run(SCRAPING, before[SCRAPING])
    assert "evenkeel_watchdog: ending the worker: the consumer's loop has not turned for " in system.log(SCRAPING)


def test_a_stop_hands_an_unfinished_task_back_and_the_next_start_does_it(imagineer, system, noted):
    imagineer.train("stopped", "--steps 60 --pause 0.3")
    imagineer.wait_until("running", "stopped")
    begun = time.monotonic()
    system.compose(f"stop {TRAINING}")
    noted("export: stop in mid-task, hand-back after 3 s", f"{time.monotonic() - begun:.1f} s")
    assert system.run_of(TRAINING).exit_code == 0
    assert imagineer.of_run("stopped", "status") == "running"
    system.compose(f"start {TRAINING}")
    imagineer.wait_until("completed", "stopped")
    assert imagineer.of_run("stopped", "starts") == "2"


def test_a_task_above_the_memory_limit_costs_its_child_alone(imagineer, system):
    before = system.run_of(TRAINING)
    imagineer.train("too-large", "--checkpoint-mb 600")
    system.wait_for(lambda: "WorkerLostError" in system.log(TRAINING), "the end of the child")
    imagineer.train("small", "--steps 5")
    imagineer.wait_until("completed", "small")
    assert system.run_of(TRAINING).began == before.began


def test_a_frozen_broker_causes_no_restart(imagineer, system, noted):
    services = [TRAINING, DEFAULT, SCRAPING, BEAT]
    system.wait_until_healthy(*services)
    before = system.runs()
    broker = system.containers()["redis"]
    broker.pause()
    over = time.time() + 3 * LIMIT
    system.wait_for(lambda: time.time() > over, "three limits")
    frozen = system.runs()
    broker.unpause()
    begun = time.monotonic()
    assert isinstance(imagineer.call("maintenance.record_disk_usage"), int)
    noted("export: a task after the broker's outage", f"{time.monotonic() - begun:.1f} s")
    for service in services:
        assert (frozen[service].health, system.run_of(service).began) == ("healthy", before[service].began), service


def test_a_stopped_worker_becomes_unhealthy(system, injected):
    """Docker starts only again what has ended: the probe is for people, and for other platforms."""
    before, _ = injected
    system.wait_for(lambda: system.run_of(LABELING).health == "unhealthy", "the probe to fail")
    assert system.run_of(LABELING).began == before[LABELING].began
    system.signal(LABELING, "KILL")
    system.next_run(LABELING, before[LABELING])
