"""playbooks/restart.yml, twice, each time in the middle of 200 tasks: those that are acknowledged early, and late."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

RESTART = "playbooks/restart.yml"
WORKERS, BEAT = ("restarted", "early"), "ticking"
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
def restarted(servers, rollout, outages):
    """The outages of all services on all hosts, in order, for each run."""
    runs = []
    for number, serial in enumerate(AT_A_TIME):
        since = min(server.now() for server in servers)
        commands = [
            (server, f"/opt/shop/load.py {worker} {load(number, worker)}") for server in servers for worker in WORKERS
        ]
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(lambda each: each[0].check_output(each[1]), commands))
        run = rollout(RESTART, *options(serial))
        assert run.returncode == 0, run.stdout
        runs.append(sorted(outage for server in servers for outage in outages(server, since, SERVICES)))
    return runs


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
