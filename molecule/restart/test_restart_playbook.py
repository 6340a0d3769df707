"""playbooks/restart.yml, twice, each time in the middle of 200 tasks: those that are acknowledged early, and late."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

RESTART = "playbooks/restart.yml"
WORKERS, BEAT = {"restarted": 16, "early": 16}, "ticking"  # how many tasks each worker executes at a time
SERVICES = (*WORKERS, BEAT)
AT_A_TIME = (1, "100%")  # hosts, in each of the two runs


def options(serial):
    (play,) = yaml.safe_load(Path(__file__).with_name("converge.yml").read_text())
    variables = {name: value for role in play["roles"] for name, value in role["vars"].items()}
    return "--extra-vars", json.dumps(
        {**variables, "evenkeel_restart_only": ",".join(SERVICES), "evenkeel_serial": serial}
    )


def load(number, worker):
    return f"playbook-{number}-{worker}"


@pytest.fixture(scope="session")
def restarted(servers, rollout, outages, wait_for):
    """The outages of all services on all hosts, in order, for each run."""
    places = [(server, worker) for server in servers for worker in WORKERS]

    def restart(number, serial):
        def fill(server, worker):
            server.check_output(f"/opt/shop/load.py {worker} {load(number, worker)} {WORKERS[worker]}")

        def release(server, worker):
            """Once the worker is stopping, in the middle of as many tasks as it has processes."""
            wait_for(lambda: server.run_of(worker).state == "deactivating" or run.done(), f"{worker} to stop")
            server.release(*(f"{load(number, worker)}-{each}" for each in range(WORKERS[worker])))

        since = min(server.now() for server in servers)
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(fill, *zip(*places)))
            run = at_once.submit(rollout, RESTART, *options(serial))
            list(at_once.map(release, *zip(*places)))
        assert run.result().returncode == 0, run.result().stdout
        return sorted(outage for server in servers for outage in outages(server, since, SERVICES))

    return [restart(number, serial) for number, serial in enumerate(AT_A_TIME)]


def test_a_restart_by_the_playbook_does_all_tasks_and_none_twice(server, restarted, all_done):
    for number in range(len(restarted)):
        assert [all_done(load(number, worker)) for worker in WORKERS] == [0, 0]


def test_each_service_restarts_once_in_each_run(servers, restarted):
    hosts = sorted(server.name for server in servers)
    expected = sorted([(host, worker) for host in hosts for worker in WORKERS] + [(hosts[0], BEAT)])
    assert [sorted((host, service) for *_, host, service in run) for run in restarted] == [expected, expected]


def test_one_service_after_another_is_restarted_and_beat_is_last(restarted):
    first, _second = restarted
    assert [service for *_, service in first] == [*WORKERS, *WORKERS, BEAT]
    for (_, ready, *_), (stopped, *_) in pairwise(first):
        assert ready <= stopped, first
