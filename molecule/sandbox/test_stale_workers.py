"""Workers that were started by hand, in preflight and at the next start. molecule/watchdog has more cases."""

import json
import re

import pytest

CONVERGE = "molecule/sandbox/converge.yml"
DATA = "/opt/slideshow/data"
CELERY = "/opt/slideshow/venv/bin/celery --quiet -A {app} worker -n {node}@%h --pool=solo --include=shell -Q {queue}"
BY_HAND = "cd /opt/slideshow/backend && {sudo} sh -c 'setsid {celery} >/dev/null 2>&1 </dev/null &'"
AS_USER, AS_ROOT = "sudo -u slideshow", ""
BY_HAND_WORKERS = {
    "of-the-user": (AS_USER, "celery_app", "slideshow"),
    "of-root": (AS_ROOT, "celery_app", "slideshow"),
    "of-another-app": (AS_USER, "celery_app:app", "slideshow"),
    "of-another-node": (AS_USER, "celery_app", "another"),
    "in-no-hurry": (AS_USER, "celery_app", "without-any"),
}
SAME = CELERY.format(app="celery_app", node="slideshow", queue="in-a-unit")
IN_A_UNIT = f"systemd-run --unit=in-a-unit --uid=slideshow --working-directory=/opt/slideshow/backend {SAME}"
CALL = '../venv/bin/celery -A celery_app call shell.sh --queue={queue} --args=\'["{task}", "{command}"]\''


@pytest.fixture(scope="module")
def send(host):
    """Sends a task that runs this command, and then creates a file with the task's name."""

    def run(queue, task, command):
        call = CALL.format(queue=queue, task=task, command=command)
        host.check_output(f"cd /opt/slideshow/backend && rm -f {DATA}/{task} && {call}")

    return run


@pytest.fixture(scope="module")
def hold(host, send, done):
    """Has a worker run a task that ends only when the returned function is called."""

    def run(queue, task):
        begun, released = f"{DATA}/{task}.begun", f"{DATA}/{task}.released"
        host.check_output(f"rm -f {begun} {released}")
        send(queue, task, f"touch {begun}; until test -e {released}; do sleep 0.1; done")
        done(f"{task}.begun")
        return lambda: host.check_output(f"touch {released}")

    return run


@pytest.fixture(scope="module")
def done(host, wait_for):
    """Waits for a task's end."""
    return lambda task: wait_for(lambda: host.file(f"{DATA}/{task}").exists, f"the end of {task}")


@pytest.fixture(scope="module")
def pid(host):
    """The main process of the worker of this queue, or an empty text if it has ended."""
    return lambda queue: host.run(f"pgrep --oldest --full -- '[-]Q {queue}$'").stdout.strip()


@pytest.fixture(scope="module")
def by_hand(host, send, done, pid):
    """Starts all of them and waits until each executes a task: {queue: main process}."""
    for queue, (sudo, app, node) in BY_HAND_WORKERS.items():
        host.check_output(BY_HAND.format(sudo=sudo, celery=CELERY.format(app=app, node=node, queue=queue)))
    host.check_output(IN_A_UNIT)
    queues = [*BY_HAND_WORKERS, "in-a-unit"]
    for queue in queues:
        send(queue, f"at-work-{queue}", "true")
    for queue in queues:
        done(f"at-work-{queue}")
    pids = {queue: pid(queue) for queue in queues}
    yield pids
    host.run(f"systemctl stop in-a-unit; kill -KILL {' '.join(pids.values())}")
    host.run(f"cd {DATA} && rm at-work-* *.begun *.released")


def test_check_mode_reports_stale_workers_and_leaves_them_alone(ansible_output, by_hand, pid):
    one = json.dumps({"workers": [{"name": "slideshow"}]})
    output = " ".join(ansible_output(CONVERGE, "--check", "--extra-vars", one).split())
    assert "failed=0" in output, output
    ours = r"is a worker of celery_app in /opt/slideshow/backend, node slideshow@\S+, since 20[-\d]+ [\d:]+\."
    for queue, words in {
        "of-the-user": f"of slideshow, in no unit: {ours} The next start asks it to finish",
        "of-root": f"of root, in no unit: {ours} It may take this worker's tasks, and the next start leaves it alone",
        "in-a-unit": f"of slideshow, in in-a-unit.service: {ours} The next start leaves it alone. Stop that service",
    }.items():
        assert re.search(f"slideshow: process {by_hand[queue]} {words}", output), output
    for queue in ("of-another-app", "of-another-node"):
        assert f"process {by_hand[queue]} " not in output
    assert {queue: pid(queue) for queue in by_hand} == by_hand


def test_the_next_start_lets_a_stale_worker_finish_and_leaves_other_workers_alone(server, by_hand, pid, hold):
    before = server.run_of("slideshow").id
    release = hold("of-the-user", "last-words")
    server.check_output("systemctl restart --no-block slideshow")
    asked = f"process {by_hand['of-the-user']} of slideshow, in no unit: asked to finish its tasks"
    server.wait_for(lambda: asked in server.journal("slideshow"), "the stale worker to be asked to end")
    release()
    server.next_run("slideshow", before)
    assert server.host.file(f"{DATA}/last-words").exists
    assert {queue: pid(queue) for queue in by_hand} == {**by_hand, "of-the-user": ""}


def test_a_stale_worker_that_takes_too_long_fails_the_start_and_is_named(server, by_hand, hold, send, done):
    release = hold("in-no-hurry", "long")
    assert server.run("systemctl restart without-any").rc != 0
    named = f"process {by_hand['in-no-hurry']} of slideshow, in no unit: still running. Wait for its tasks"
    assert named in server.journal("without-any")
    release()
    done("long")
    # systemd has repeated the start.
    send("without-any", "taken-over", "true")
    done("taken-over")
