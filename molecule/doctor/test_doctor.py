"""What the playbook doctor finds: each trap where it is, and nothing where there is none (docs/doctor.md)."""

import json
from pathlib import Path

import pytest

VARS = Path(__file__).parent / "vars"
HOST = "doctor-debian13"
LONG = 60  # seconds
# What must be found of the services of vars/traps.yml, and nothing else. Of a service that is not named here: nothing.
TRAPS = {
    "evicting": {"redis_evicts_queues"},
    "volatile": {"redis_evicts_results"},
    "forgetful": {"redis_not_persistent"},
    "full": {"redis_almost_full"},
    "unsaved": {"redis_failed_to_save"},
    "cache": {"cache_beside_queues"},
    "others": {"cache_beside_queues"},
    "eta": {"visibility_timeout_eta"},
    "emial": {"queue_without_worker"},
    "routed": {"queue_without_worker"},
    "long": {"visibility_timeout"},
    "reserving": {"visibility_timeout_reserved"},
    "late": {"late_not_requeued"},
    "requeued": {"requeued_without_late"},
    "forever": {"requeued_forever"},
    "kept": {"results_never_expire"},
    "eager": {"always_eager"},
    "pickle": {"pickle"},
    "old": {"known_faults"},
    "beat": {"queue_without_worker"},
}


@pytest.fixture(scope="module")
def examine(rollout):
    """Runs the playbook with the services of a file; returns its exit code and its answer."""

    def run(name, *options):
        services = f"--extra-vars=@{VARS / name}.yml"
        result = rollout("playbooks/doctor.yml", services, "--extra-vars=celery_doctor_format=json", *options)
        output = result.stdout
        assert "\n{\n" in output, output + result.stderr
        return result.returncode, json.JSONDecoder().raw_decode(output, output.index("\n{\n") + 1)[0]

    return run


def by_place(answer):
    """The rules that were found, by host and service."""
    found = {}
    for finding in answer["findings"]:
        for place in finding["where"]:
            found.setdefault(place, set()).add(finding["rule"])
    return found


def found(examine, expected, *arguments):
    """What is found by place, and the exit code. On a slow machine, a part of it may not be known in time."""
    for _attempt in range(3):
        code, answer = examine(*arguments)
        if (by_place(answer), answer["unknown"]) == (expected, {}):
            break
    assert answer["unknown"] == {}
    return by_place(answer), code


def test_each_trap_is_found_where_it_is_and_nothing_else(examine):
    expected = {f"{HOST}: {service}": rules for service, rules in TRAPS.items()}
    assert found(examine, expected, "traps") == (expected, 2)


def test_a_deployment_warns_of_traps_unless_they_are_ignored(rollout):
    def said(**options):
        worker = {"name": "new", "environment": {"BROKER": "redis://127.0.0.1:6381/0"}}
        given = json.dumps({"celery_worker_instances": [worker], **options})
        result = rollout("molecule/doctor/preflight.yml", f"--extra-vars={given}")
        assert result.returncode == 0, result.stdout + result.stderr
        return " ".join((result.stdout + result.stderr).split())

    warned = said()
    assert "new: Redis has maxmemory-policy allkeys-lru." in warned
    assert "(docs/doctor.md, redis_evicts_queues)" in warned
    assert "docs/doctor.md" not in said(celery_doctor_ignore=["redis_evicts_queues"])


def test_healthy_services_have_no_traps(examine):
    code, answer = examine("healthy", "--extra-vars=celery_doctor_fail_on=warning")
    assert (answer["findings"], answer["unknown"]) == ([], {})
    assert code == 0


def test_what_only_running_workers_show_is_found(server, examine, wait_for):
    celery = "cd /opt/traps && BROKER=redis://127.0.0.1:6379/10 /opt/shop/venv/bin/celery -A traps "
    server.check_output("rm --force /opt/traps/released && systemctl restart idle")
    server.check_output(celery + "call --queue=shared traps.hold")
    server.check_output(celery + "call --queue=shared traps.nap")
    sent = server.now()
    wait_for(lambda: server.check_output("redis-cli -n 10 LLEN shared") == "0", "a worker to have received both tasks")
    server.check_output(f"{celery} control --timeout=60 --destination=idle@{HOST} add_consumer shared")
    wait_for(lambda: server.now() - sent > LONG, "the task to be a long one")

    expected = {f"{HOST}: busy": {"reserved_behind_long"}, f"{HOST}: unneeded": {"worker_without_tasks"}}
    assert found(examine, expected, "running") == (expected, 0)
    server.check_output("touch /opt/traps/released")


TWIN = f"--inventory={VARS.parent / 'inventory/twin.yml'}"


def test_what_only_several_hosts_show_is_found(examine):
    rules = {"one_node_name", "clocks_apart", "queue_without_worker"}
    expected = {f"{HOST}: alike": rules, "doctor-twin: alike": rules}
    assert found(examine, expected, "fleet", TWIN) == (expected, 0)


def test_one_of_several_hosts_alone_has_none_of_it(examine):
    assert found(examine, {}, "fleet", TWIN, f"--limit={HOST}") == ({}, 0)
