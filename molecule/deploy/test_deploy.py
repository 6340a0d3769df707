"""Generations: good ones stay, bad ones are rolled back, killed runs are completed, and a rollback is possible."""

import contextlib
import json
import os
import re
import subprocess

import pytest

CONVERGE, ROLLBACK = "molecule/deploy/converge.yml", "molecule/deploy/rollback.yml"
TO_THE_ORIGINAL = ("--extra-vars", "celery_worker_rollback_to=original")
BROKER = {"BROKER": "redis://127.0.0.1:6380/0"}
UNIT = "/etc/systemd/system/shop.service"
# Long enough to see it exit on a slow machine.
FALLS_OVER = {"environment": {**BROKER, "SHOP_FALLS_AFTER": "2"}, "stay_up": "5min"}


def wishing(**wish):
    return ("--extra-vars", json.dumps({"wish": wish}))


@pytest.fixture(scope="module")
def converge(ansible_playbook):
    return lambda **wish: ansible_playbook(CONVERGE, *wishing(**wish))


@pytest.fixture
def rollback(ansible_playbook):
    return lambda *options: ansible_playbook(ROLLBACK, *options)


@pytest.fixture
def pid(server):
    return lambda worker="shop": server.show(worker, "MainPID")["MainPID"]


@pytest.fixture
def children(server, pid):
    return lambda: len(server.children(pid()))


@pytest.fixture
def files(server):
    """Checksums, modes and owners of the worker's files."""
    places = f"{UNIT} /etc/evenkeel/shop.env /usr/local/lib/evenkeel/shop/evenkeel_watchdog.py"
    return lambda: server.run(f"sha256sum {places}; stat -c '%a %U %n' {places}").stdout


@pytest.fixture
def state(server):
    return lambda: json.loads(server.check_output("cat /var/lib/evenkeel/services/shop/state.json"))


def test_only_root_can_read_stored_generations(server):
    for_others = server.check_output("find /var/lib/evenkeel/services -perm /077 -name '*.env'")
    assert not for_others
    assert server.host.file("/var/lib/evenkeel/services").mode == 0o700


def test_a_generation_that_starts_and_then_fails_is_rolled_back(server, converge, files, pid, recovered):
    before, other = files(), pid("gifts")
    with pytest.raises(AssertionError) as failed:
        converge(**FALLS_OVER)
    message = str(failed.value)
    assert "shop started, but did not stay up for 300 s. It was rolled back and runs." in message
    assert "status=3" in message, "the journal's last lines"
    assert (files(), pid("gifts")) == (before, other)
    server.serve("shop", "gifts")
    lines = server.journal("shop", output="short-unix").splitlines()
    fell, ready = (
        [float(line.split()[0]) for line in lines if words in line] for words in ("status=3", "systemd[1]: Started")
    )
    recovered("deploy: a generation that falls over", ready[-1] - fell[0])


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        ({"environment": {**BROKER, "SHOP_IS_BROKEN": "1"}}, "RuntimeError: this release is broken"),
        ({"user": "nobody-we-know"}, "user 'nobody-we-know' does not exist on this host"),
        ({"sandbox": {"NoSuchThing": True}}, "NoSuchThing"),
        ({"memory_max": "2X"}, "memory_max '2X'"),
        ({"environment": {"BROKER": "redis://127.0.0.1:6399/0"}}, "does not answer: OperationalError"),
    ],
    ids=["app", "user", "directive", "size", "broker"],
)
def test_an_invalid_worker_is_refused_and_nothing_changes(converge, files, pid, wish, complaint):
    before = files(), pid()
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        converge(**wish)
    assert (files(), pid()) == before


def test_rollback_goes_back_one_generation_and_the_next_run_goes_forward(server, converge, rollback, files, children):
    first = files()
    converge(concurrency=2)
    second = files()
    server.wait_for(lambda: children() == 2, "two children")

    assert rollback()["changed"]
    assert files() == first
    server.wait_for(lambda: children() == 1, "one child")
    server.serve("shop", "gifts")
    assert not rollback()["changed"]
    assert files() == first

    converge(concurrency=2)
    assert files() == second


def test_check_mode_shows_what_a_rollback_changes(ansible_output, files, pid):
    before = files(), pid()
    lines = ansible_output(ROLLBACK, "--check", "--diff").splitlines()
    assert [line for line in lines if line.startswith("-ExecStart=") and "--concurrency=2" in line]
    assert [line for line in lines if line.startswith("+ExecStart=") and "--concurrency=1" in line]
    assert "shop: back to the previous generation" in "".join(lines)
    assert (files(), pid()) == before


@contextlib.contextmanager
def run_that_waits(server, worker, task, *options):
    """A run that waits for this worker to finish its task, which the test releases."""
    server.hold(task, worker)
    command = ["ansible-playbook", f"--inventory={os.environ['MOLECULE_INVENTORY_FILE']}", f"--limit={server.name}"]
    run = subprocess.Popen([*command, f"../../{CONVERGE}", *options], stdout=subprocess.DEVNULL)
    server.wait_for(lambda: server.run_of(worker).state == "deactivating", "the run to stop the worker")
    try:
        yield run
    finally:
        run.kill()
        run.wait()


def test_a_killed_run_leaves_a_worker_running_and_the_next_run_completes_it(
    server, converge, state, children, recovered
):
    before = server.run_of("shop").id
    with run_that_waits(server, "shop", "last-words-", *wishing(concurrency=3)) as run:
        with pytest.raises(AssertionError, match=r"Another run \(process \d+\) is changing this host's services"):
            converge()
        run.kill()
        server.check_output("kill -KILL $(cat /var/lib/evenkeel/services.lock)")
    server.release("last-words-shop")
    server.next_run("shop", before)  # systemd finishes the restart
    assert server.done("last-words-shop"), "the old worker's task was cut short"
    server.serve("shop")
    assert state()["pending"]

    assert converge(concurrency=3)["changed"]
    assert not state()["pending"]
    server.wait_for(lambda: children() == 3, "three children")
    assert not converge(concurrency=3)["changed"]


def test_after_a_power_failure_a_failing_change_is_rolled_back_to_the_last_good_generation(server, converge, state):
    good = state()["current"]
    with run_that_waits(server, "shop", "cut-off-", *wishing(concurrency=4)):
        for words in (("kill",), ("start",)):
            subprocess.run(["docker", *words, server.name], check=True, capture_output=True)
    server.wait_for(lambda: server.run("systemctl start broker@6380").rc == 0, "systemd to accept jobs")
    server.wait_for(lambda: server.run("systemctl is-active shop").rc == 0, "a worker, without another run")
    assert state()["pending"]

    with pytest.raises(AssertionError, match=r"did not stay up for 300 s\. It was rolled back and runs"):
        converge(**FALLS_OVER)
    assert (state()["current"], state()["pending"]) == (good, None)
    server.serve("shop", "gifts")


def test_rollback_to_the_original_unit_and_deploying_again(server, converge, rollback, files):
    ours = files()
    assert rollback(*TO_THE_ORIGINAL)["changed"]
    assert server.show("shop", "Type", "WatchdogUSec", "ActiveState") == {
        "Type": "simple",
        "WatchdogUSec": "0",
        "ActiveState": "active",
    }
    server.serve("shop", "gifts")
    assert not rollback(*TO_THE_ORIGINAL)["changed"]
    converge(concurrency=3)
    assert files() == ours


def test_a_removed_worker_is_replaced_by_its_original_unit_if_requested(server, ansible_playbook):
    only_shop = json.dumps({"celery_worker_instances": [{"name": "shop", "queues": ["shop"], "concurrency": 3}]})
    options = ("--extra-vars", only_shop, "--extra-vars", "celery_worker_restore_original=true")
    with run_that_waits(server, "gifts", "drained-", *options) as run:
        server.release("drained-gifts")
        assert run.wait() == 0
    assert server.done("drained-gifts")
    assert server.show("gifts", "Type", "ActiveState") == {"Type": "simple", "ActiveState": "active"}
    assert not server.host.file("/etc/evenkeel/gifts.env").exists
    server.serve("shop", "gifts")
    assert not ansible_playbook(CONVERGE, *options)["changed"]
