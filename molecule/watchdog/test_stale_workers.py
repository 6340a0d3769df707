"""Stale workers end before a worker starts; other workers continue."""

import pytest

START = "/opt/shop/start_by_hand.sh"
AS_SHOP = f"cd /opt/shop && sudo -u shop {START}"
AS_ROOT = f"cd /opt/shop && {START}"
SAME = "-A shop worker -n heir@%h"
EDITOR = "celery_worker.py"
# Each takes tasks from a queue of its own name.
STALE = {
    "of-the-user": f"{AS_SHOP} {SAME} -Q of-the-user",
    "of-root": f"{AS_ROOT} {SAME} -Q of-root",
    "of-a-login": f"systemd-run --scope --unit=session-77.scope sh -c '{AS_ROOT} {SAME} -Q of-a-login'",
    "sent-there": f"cd / && {START} --workdir /opt/shop -A shop worker -n heir@%h -Q sent-there",
}
OTHERS = {
    "another-app": f"{AS_SHOP} -A album worker -n heir@%h -Q another-app",
    "another-node": f"{AS_SHOP} -A shop worker -n other@%h -Q another-node",
    "another-directory": f"cd /opt/elsewhere && {START} -A shop worker -n heir@%h -Q another-directory",
    "another-users": f"cd /opt/shop && sudo -u nobody {START} {SAME} -Q another-users",
    "in-a-container": f"unshare --pid --fork sh -c '{AS_ROOT} {SAME} -Q in-a-container; exec sleep 600' >/dev/null &",
    "in-a-unit": f"systemd-run --unit=in-a-unit --service-type=forking sh -c '{AS_ROOT} {SAME} -Q in-a-unit'",
}
OPEN_EDITOR = (
    "ln -sf /usr/bin/tail /tmp/vim && touch /opt/shop/celery_worker.py &&"
    " (cd /opt/shop; setsid /tmp/vim -f celery_worker.py >/dev/null 2>&1 &)"
)


@pytest.fixture(scope="module")
def program(server):
    """stale_workers.py as it is called before `heir` starts, but for the node and the last options."""

    def run(node, *options):
        return server.run(
            "/usr/bin/python3 /usr/local/lib/evenkeel/heir/stale_workers.py --app shop --directory /opt/shop"
            f" --node {node}@%h --user shop --user root {' '.join(options)}"
        )

    return run


@pytest.fixture(scope="module")
def mains(server):
    """The workers that take tasks from the queues: {queue: main process}; and the editor."""

    def run():
        # unshare has the same words in its command line; a pool child has the command line of its main process.
        listed = server.check_output("ps -ww -eo pid=,ppid=,args=").splitlines()
        found = {}
        for pid, parent, args in (line.split(None, 2) for line in listed):
            words = args.rstrip(")").split()
            if "-Q" in words and words[0] != "unshare" and words[0] != "sh":
                found.setdefault(words[words.index("-Q") + 1], {})[pid] = parent
        mains = {queue: next(pid for pid in family if family[pid] not in family) for queue, family in found.items()}
        return {**mains, EDITOR: server.run("pgrep --full '[v]im -f celery_worker.py'").stdout.strip()}

    return run


@pytest.fixture(scope="module")
def started(server, mains):
    """Starts stale and other workers and waits until each executes a task: the main process of each."""
    for start in (*STALE.values(), *OTHERS.values(), OPEN_EDITOR):
        server.check_output(start)
    server.serve(*STALE, *OTHERS)
    return mains()


def test_a_report_changes_nothing(program, started, mains):
    report = program("heir", "--action report")
    assert report.rc == 0
    assert report.stdout.count(": stale") == len(STALE), report.stdout
    for holder in ("heir.service", "in-a-unit.service", "a container"):
        assert f"in {holder}: is a worker of shop in /opt/shop" in report.stdout, report.stdout
    assert report.stdout.count(": left alone") == 3, report.stdout
    assert set(started) == {*STALE, *OTHERS, EDITOR}
    assert mains() == started


def test_stale_workers_finish_their_tasks_and_end_before_a_start(server, started, mains):
    before, words = server.run_of("heir").id, "asked to finish its tasks"
    server.hold("last-", *STALE)
    server.check_output("systemctl restart --no-block heir")
    server.wait_for(lambda: server.journal("heir").count(words) == len(STALE), "all to be asked to end")
    assert mains() == started
    last = [f"last-{queue}" for queue in STALE]
    server.release(*last)
    run = server.next_run("heir", before)
    assert server.done(*last), server.journal("heir")
    assert mains() == {name: pid for name, pid in started.items() if name not in STALE}
    journal = server.journal("heir")
    assert journal.count(words) == journal.count("has finished") == len(STALE), journal
    server.serve("heir", *OTHERS)
    assert server.run_of("heir") == run


def test_a_stale_worker_that_does_not_end_is_reported_and_killed_only_on_request(server, program):
    server.check_output(f"{AS_SHOP} -A shop worker -n stubborn@%h -Q stubborn")
    server.hold("for-ever-", "stubborn")

    stop = program("stubborn", "--action stop --timeout 1")
    assert stop.rc == 1
    (pid,) = [line.split()[-1] for line in stop.stdout.splitlines() if "end it by hand: kill -KILL" in line]
    children = server.children(pid)
    assert children

    kill = program("stubborn", "--action kill --timeout 1")
    assert kill.rc == 0
    assert f"process {pid} of shop, in no unit: still running, killed with 1 children" in kill.stdout
    families = " ".join(f"/proc/{each}" for each in (pid, *children))
    server.wait_for(lambda: server.run(f"ls -d {families}").stdout == "", "the killed processes to be gone")
    assert program("stubborn", "--action stop").stdout == ""
