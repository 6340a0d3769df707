"""New code restarts the workers that it concerns: by revision, restart_on, the playbook `restart`, and the handler."""

import json
from pathlib import Path

import pytest

CONVERGE, RELEASE, RESTART = "molecule/deploy/converge.yml", "molecule/deploy/release.yml", "playbooks/restart.yml"
INVENTORY = ("--extra-vars", f"@{Path(__file__).parent}/vars/workers.yml")
WORKERS = ("shop", "gifts")
WISH = {"revision": "one", "restart_on": ["/opt/shop/current"]}
BROKEN = "raise RuntimeError('this release is broken')"


def wishing(**wish):
    return ("--extra-vars", json.dumps({"wish": wish}))


@pytest.fixture(scope="module")
def converge(ansible_playbook):
    return lambda **wish: ansible_playbook(CONVERGE, *wishing(**wish))


@pytest.fixture
def restart(ansible_playbook):
    return lambda *options: ansible_playbook(RESTART, *INVENTORY, *wishing(**WISH), *options)


@pytest.fixture
def deploy(ansible_playbook):
    return lambda release: ansible_playbook(RELEASE, *wishing(**WISH), "--extra-vars", json.dumps({"release": release}))


@pytest.fixture(scope="module")
def link(server):
    """Makes the link to the current release anew."""
    return lambda release: server.check_output(
        f"cd /opt/shop && mkdir -p releases/{release} && ln -sfn releases/{release} current"
    )


@pytest.fixture(scope="module")
def deployed(converge, link):
    link("one")
    converge(**WISH)


@pytest.fixture
def restarted(server, deployed):
    """Which workers were restarted since the test began."""
    before = {worker: server.run_of(worker).id for worker in WORKERS}
    return lambda: {worker for worker in WORKERS if server.run_of(worker).id != before[worker]}


def test_a_link_to_another_release_restarts_its_worker_and_check_mode_tells(ansible_output, converge, link, restarted):
    link("two")
    assert "shop: running (new code in /opt/shop/current)" in ansible_output(
        CONVERGE, "--check", "--diff", *wishing(**WISH)
    )
    assert restarted() == set()
    converge(**WISH)
    assert restarted() == {"shop"}


def test_the_playbook_restarts_what_runs_and_site_does_not_restart_it_again(server, converge, link, restart, restarted):
    server.check_output("systemctl stop gifts")
    link("three")
    try:
        assert restart()["changed"]
        assert "shop" in restarted()
        assert server.show("gifts", "ActiveState") == {"ActiveState": "inactive"}
    finally:
        server.check_output("systemctl start gifts")
    server.serve(*WORKERS)
    assert not converge(**WISH)["changed"]


def test_code_that_cannot_start_stops_no_worker(restart, deploy, restarted):
    with pytest.raises(AssertionError, match="RuntimeError: this release is broken"):
        deploy(BROKEN)
    with pytest.raises(AssertionError, match="RuntimeError: this release is broken"):
        restart()
    assert restarted() == set()


def test_a_restart_that_fails_ends_the_run_and_the_handler_starts_the_worker_again(server, restart, deploy, restarted):
    with pytest.raises(AssertionError, match=r"(?s)shop did not start.*Its journal:.*this release is broken"):
        restart("--skip-tags", "check")
    assert restarted() == {"shop"}
    deploy("# repaired")
    assert restarted() == {"shop", "gifts"}
    server.serve(*WORKERS)


def test_the_playbook_refuses_a_name_that_no_service_has(restart):
    with pytest.raises(AssertionError, match=r"no service is called shpo\. Name some of these: gifts, shop"):
        restart("--extra-vars", "evenkeel_restart_only=shpo,gifts")


def test_a_new_revision_restarts_its_worker(server, converge, restarted):
    converge(**{**WISH, "revision": "two"})
    assert restarted() == {"shop"}
    assert "X-Evenkeel-Revision=two" in server.check_output("systemctl cat shop")
    assert "X-Evenkeel" not in server.check_output("journalctl --no-pager _PID=1"), "systemd complains"
