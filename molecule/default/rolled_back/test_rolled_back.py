"""Rolled back twice, and deployed again: the worker runs at each step."""

import pytest

WORKER = "celery-worker"
UNIT = "/etc/systemd/system/celery-worker.service"


@pytest.fixture(scope="module")
def rolled_back(ansible_playbook):
    original = "--extra-vars=celery_worker_rollback_to=original"
    return [ansible_playbook("playbooks/rollback.yml", original) for _ in range(2)]


def test_the_first_rollback_changes_and_the_second_does_not(rolled_back):
    first, second = rolled_back
    assert first["changed"]
    assert not second["changed"]


def test_the_original_unit_runs(server, host, show, rolled_back):
    before = [line for line in host.file("/root/snapshot.before").content_string.splitlines() if UNIT in line]
    assert f"{UNIT} root {oct(host.file(UNIT).mode)[2:]}" in before
    assert f"{host.file(UNIT).sha256sum}  {UNIT}" in before
    unit = show(WORKER, "ActiveState", "User", "MemoryMax", "WatchdogUSec", "UnitFileState")
    assert unit == {
        "ActiveState": "active",
        "User": "root",
        "MemoryMax": "infinity",
        "WatchdogUSec": "0",
        "UnitFileState": "enabled",
    }
    main = show(WORKER, "MainPID")["MainPID"]
    server.wait_for(lambda: len(server.children(main)) == 5, "the five children of concurrency 5")


def test_swap_stays(host, rolled_back):
    assert f"/mnt/swap/{host.check_output('hostname')}" in host.file("/proc/swaps").content_string


def test_site_yml_deploys_the_worker_again(show, rolled_back, ansible_playbook):
    ansible_playbook("molecule/default/converge.yml")
    assert show(WORKER, "ActiveState", "User", "MemoryMax") == {
        "ActiveState": "active",
        "User": "slideshow",
        "MemoryMax": str(800 * 2**20),
    }
