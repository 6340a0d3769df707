"""playbooks/site.yml changes workers and hosts one after another, in the middle of 200 tasks."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

SITE, RESTART = "playbooks/site.yml", "playbooks/restart.yml"
WORKERS = ("first", "second", "third")


def options(only=(), **changes):
    """Extra variables: one host after another, and the scenario's workers, or only these, with changes."""
    (play,) = yaml.safe_load(Path(__file__).with_name("converge.yml").read_text())
    variables = play["roles"][0]["vars"]
    workers = [
        {**each, **changes.get(each["name"], {})}
        for each in variables["celery_worker_instances"]
        if not only or each["name"] in only
    ]
    variables = {**variables, "celery_worker_instances": workers, "evenkeel_serial": 1, "swap_state": "absent"}
    return "--extra-vars", json.dumps(variables)


def runs(server):
    return {worker: server.run_of(worker).id for worker in WORKERS}


def changed(before, after):
    """The workers that were restarted."""
    return {worker for worker in WORKERS if before[worker] != after[worker]}


@pytest.fixture(scope="session")
def rolled_out(servers, rollout, wait_for, outages):
    """Each outage on all hosts, in order, while the fleet gets another concurrency, and soon empties the queue.

    Each worker executes a task until the first one of its host stops, with 200 more in the queue.
    """
    held = [f"held-{number}-" for number in range(len(WORKERS))]
    for server in servers:
        for name in held:
            server.hold(name, "shared")
        server.check_output("systemd-run --unit=load /opt/shop/load.py shared rollout")
    since = min(server.now() for server in servers) - 1
    with ThreadPoolExecutor() as aside:
        run = aside.submit(rollout, SITE, *options(**{worker: {"concurrency": 8} for worker in WORKERS}))
        for server in servers:

            def first_stops(server=server):
                return server.run_of(WORKERS[0]).state == "deactivating"

            wait_for(lambda: first_stops() or run.done(), "its turn to begin")
            server.release(*(f"{name}shared" for name in held))
            wait_for(
                lambda server=server: len(outages(server, since, WORKERS)) == len(WORKERS) or run.done(),
                "its turn to end",
            )
    assert run.result().returncode == 0, run.result().stdout
    return sorted(outage for server in servers for outage in outages(server, since, WORKERS))


@pytest.fixture(scope="session")
def failed(servers, rollout, rolled_out):
    """A rollout that can't succeed, and the workers' runs before and after it on each host."""
    before = {server.name: runs(server) for server in servers}
    # The preflight can't know this, as it ends the worker before.
    broken = {"environment": {"SHOP_REFUSES": 1}}
    run = rollout(SITE, *options(first={**broken, "start_limit_interval": "10s"}, second={"concurrency": 3}))
    return run, before, {server.name: runs(server) for server in servers}


@pytest.fixture(scope="session")
def left_out(servers, rollout, failed):
    """A rollout and a restart that may leave out one of two hosts, its name, and the workers' runs as above."""
    broken = servers[0]
    # What is active when its broker stops may be done twice.
    broken.wait_for(lambda: broken.done(*(f"rollout-{number}" for number in range(200))), "all tasks of rollout")
    before = {server.name: runs(server) for server in servers}
    broken.check_output("systemctl stop broker@6380")
    try:
        wanted = {worker: {"concurrency": 4 if worker == "first" else 8} for worker in WORKERS}
        may_fail = ("--extra-vars", "evenkeel_max_fail_percentage=50")
        second = ("--extra-vars", "evenkeel_restart_only=second")
        both = (
            rollout(SITE, *options(**wanted), *may_fail),
            rollout(RESTART, *options(WORKERS, **wanted), *may_fail, *second),
        )
    finally:
        broken.check_output("systemctl start broker@6380")
    return both, broken.name, before, {server.name: runs(server) for server in servers}


def test_at_most_one_worker_of_the_fleet_is_down_at_a_time(server, rolled_out):
    """Each worker stops only after the previous one is ready, also across hosts."""
    assert len(rolled_out) == 2 * len(WORKERS)
    assert len({host for *_, host, _ in rolled_out[:3]}) == 1
    for (_, ready, *_), (stopped, *_) in pairwise(rolled_out):
        assert ready <= stopped, rolled_out


def test_a_rollout_stops_at_the_first_host_that_fails(server, failed):
    run, before, after = failed
    assert run.returncode != 0
    assert "first did not start" in run.stdout, run.stdout
    assert "1 of 2 hosts failed" in run.stdout, run.stdout
    (name,) = set(re.findall(r"fatal: \[(.*?)\]", run.stdout))
    assert changed(before[server.name], after[server.name]) == ({"first"} if server.name == name else set())
    server.serve("shared")


def test_a_changed_unit_loses_no_task(server, rolled_out, all_done):
    assert all_done("rollout") == 0
    assert server.done(*(f"held-{number}-shared" for number in range(len(WORKERS))))


def test_a_host_that_fails_its_checks_is_left_out_and_named_at_the_end(server, left_out):
    both, name, before, after = left_out
    for run in both:
        assert run.returncode != 0
        end = run.stdout[run.stdout.index("PLAY [List the hosts that failed]") :]
        assert re.findall(r"fatal: \[(.*?)\]", end) == [name]
        assert re.search(r"first: the broker \S+ does not answer", end), end
    assert changed(before[server.name], after[server.name]) == (set() if server.name == name else {"first", "second"})
    server.serve("shared")
