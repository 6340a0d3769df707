"""Workers that run out of memory: a task costs one child, a worker is back, a poison ends, and no neighbour is harmed.

faults.py lets all of them run out of memory at the same moment; each test then waits for the end of its own story.
"""

import itertools
import json
import re

import pytest

CONVERGE = "molecule/memory/converge.yml"
SEND = (
    "import sys; sys.path.insert(0, '/opt/shop'); from shop import app; worker, task, name = sys.argv[1:];"
    " app.send_task('shop.' + task, [name, 400], queue=worker, task_id=name)"
)
# On a machine of 400M. It is larger than the task by the time that nothing is left.
DATABASE = "import time; held = b'x' * (200 << 20); print('held', flush=True); time.sleep(600)"


class Story:
    """What became of a host's workers since they ran out of memory, that moment."""

    def __init__(self, server, moment, pids, children):
        self.server, self.moment, self.pids, self.children = server, moment, pids, children

    def children_of(self, main):
        return self.server.check_output("pgrep --parent %s", main).split()

    def unharmed(self, worker):
        """Not restarted since before the fault."""
        now = self.server.show(worker, "MainPID", "NRestarts", "ActiveState")
        return now == {"MainPID": self.pids[worker], "NRestarts": "0", "ActiveState": "active"}

    def begun(self, task):
        """How often?"""
        return self.server.check_output("cat /opt/shop/data/done.log").split().count(f"begun-{task}")

    def failure(self, task):
        """The error that it has as its result; None as long as it hasn't failed."""
        result = self.server.check_output("redis-cli -p 6380 -n 1 get celery-task-meta-%s", task)
        result = json.loads(result or "{}")
        return result["result"]["exc_type"] if result.get("status") == "FAILURE" else None

    def when(self, worker, words):
        """When the worker's journal first had these words."""
        journal = self.server.check_output("journalctl --no-pager --output=short-unix --unit %s", worker)
        return next(float(line.split()[0]) for line in journal.splitlines() if words in line)

    def eat(self, worker, task, name):
        """Sends a task that needs more memory than its worker may have."""
        self.server.check_output(f'/opt/shop/venv/bin/python -c "{SEND}" {worker} {task} {name}')


@pytest.fixture(scope="module")
def story(server):
    """All faults at once."""
    return Story(server, **json.loads(server.check_output("/opt/shop/faults.py")))


def test_a_task_that_eats_memory_costs_one_child(server, story):
    server.wait_for(lambda: server.done("innocent"), 60, "the innocent task beside it")
    for task in ("glutton", "late-glutton"):
        server.wait_for(lambda task=task: story.failure(task) == "WorkerLostError", 60, f"the failure of {task}")
        assert story.begun(task) == 1
    server.serve("fenced")
    assert story.unharmed("fenced"), server.journal("fenced")
    now = story.children_of(story.pids["fenced"])
    assert len(now) == len(story.children) == 2
    assert len({*now} & {*story.children}) == 1
    assert "Worker exited prematurely: signal 9 (SIGKILL)" in server.journal("fenced")


def test_the_kernel_takes_the_child_though_the_main_process_is_the_larger_one(server, story, recovered):
    server.wait_for(lambda: server.done("mapping-next"), 60, "a task of the new child")
    assert story.failure("mapping-glutton") == "WorkerLostError"
    assert story.unharmed("mapping"), server.journal("mapping")
    recovered("out of memory: child", story.when("mapping", "[mapping-next] succeeded") - story.moment)


def test_a_worker_that_is_out_of_memory_itself_is_back(server, story, recovered):
    def again():
        now = server.show("hoarder", "MainPID", "ActiveState")
        return now["ActiveState"] == "active" and now["MainPID"] != story.pids["hoarder"]

    server.wait_for(again, 60, "a new hoarder")
    back = float(server.show("hoarder", "ActiveEnterTimestamp")["ActiveEnterTimestamp"].strip("@"))
    recovered("out of memory: main process", back - story.moment)
    assert "code=killed, status=9/KILL" in server.journal("hoarder")
    server.serve("hoarder")


@pytest.mark.parametrize(("worker", "tasks"), [("leaky", "leak"), ("counted", "count")])
def test_a_child_is_replaced_in_time(server, story, recovered, worker, tasks):
    sent, most = {"leak": (12, 5), "count": (6, 2)}[tasks]
    names = [f"{tasks}-{number}" for number in range(sent)]
    server.wait_for(lambda: server.done(*names), 60, f"all tasks of {worker}")
    lines = server.check_output("grep '^%s-' /opt/shop/data/done.log", tasks).splitlines()
    work = [line.split() for line in lines]
    pids = [pid for name, pid in work]
    assert max(map(pids.count, pids)) <= most
    assert "SIGKILL" not in server.journal(worker)
    assert story.unharmed(worker)

    changes = [(last, first) for (last, old), (first, new) in itertools.pairwise(work) if old != new]
    pauses = [story.when(worker, f"[{first}] succ") - story.when(worker, f"[{last}] succ") for last, first in changes]
    recovered(f"a child replaced: {worker}", max(pauses))


def test_a_poison_task_ends(server, story, recovered):
    server.wait_for(lambda: story.failure("poison"), 90, "the end of the poison")
    assert story.failure("poison") == "RuntimeError"
    assert story.begun("poison") == 3
    server.serve("poisoned")
    assert story.unharmed("poisoned"), server.journal("poisoned")
    recovered("poison: given up", story.when("poisoned", "given up: it was begun 3 times") - story.moment)


def test_celery_itself_retries_a_lost_task_so_many_times(server, story):
    """From 5.7 on; those before know no such thing, and the task fails at once."""
    server.wait_for(lambda: story.failure("retried-poison"), 90, "the end of the poison")
    assert story.failure("retried-poison") == "WorkerLostError"
    version = server.check_output("/opt/shop/venv/bin/celery --version")
    assert story.begun("retried-poison") == (3 if version >= "5.7" else 1)


def test_a_poison_task_ends_that_takes_the_whole_worker_along(server, story, recovered):
    server.wait_for(lambda: story.failure("one-process-poison"), 180, "the end of the poison")
    assert story.failure("one-process-poison") == "RuntimeError"
    assert story.begun("one-process-poison") == 3
    server.serve("one-process", port=6381)
    assert server.show("one-process", "NRestarts") == {"NRestarts": "3"}
    recovered("poison: given up, threads", story.when("one-process", "given up: it was begun 3 times") - story.moment)


def test_a_poison_task_that_nothing_bounds_is_ended_by_revoking_it(server, story):
    story.eat("poisoned", "eat_again", "endless")
    server.wait_for(lambda: story.begun("endless") > 5, 60, "a loop")
    server.check_output("cd /opt/shop && venv/bin/celery -A shop control revoke endless")
    server.serve("poisoned")
    assert "Discarding revoked task: shop.eat_again[endless]" in server.journal("poisoned")
    assert story.unharmed("poisoned"), server.journal("poisoned")


def test_when_the_machine_is_out_of_memory_the_task_goes_first(server, story):
    for command in (
        "mkdir -p /run/systemd/system/unfenced.service.d",
        "printf '[Service]\\nSlice=small-machine.slice\\n' > /run/systemd/system/unfenced.service.d/slice.conf",
        "systemctl daemon-reload",
        "systemctl set-property --runtime small-machine.slice MemoryMax=400M",
        f'systemd-run --slice=small-machine.slice --unit=database python3 -c "{DATABASE}"',
        "systemctl restart unfenced",
    ):
        server.check_output(command)
    server.wait_for(lambda: "held" in server.journal("database"), 15, "the database")
    before = server.show("unfenced", "MainPID", "NRestarts")

    story.eat("unfenced", "eat", "too-much")
    server.wait_for(lambda: story.failure("too-much"), 60, "the end of the task")
    server.serve("unfenced")
    assert server.show("database", "ActiveState") == {"ActiveState": "active"}
    assert server.show("unfenced", "MainPID", "NRestarts") == before


def test_what_was_said_arrives(server, story):
    """On cgroup v1 systemd knows MemoryHigh and MemorySwapMax, but has nothing to give them to."""
    mebi = 2**20
    now = server.show("told", "MemoryHigh", "MemoryMax", "MemorySwapMax", "OOMPolicy", "OOMScoreAdjust", "MainPID")
    main = now.pop("MainPID")
    assert now == {
        "MemoryHigh": str(200 * mebi),
        "MemoryMax": str(250 * mebi),
        "MemorySwapMax": str(50 * mebi),
        "OOMPolicy": "continue",
        "OOMScoreAdjust": "300",
    }
    (child,) = story.children_of(main)
    assert [server.check_output(f"cat /proc/{pid}/oom_score_adj") for pid in (main, child)] == ["300", "500"]


@pytest.fixture
def refusal(ansible_playbook, server):
    """What a run with these workers is refused with, and that it touched nothing."""

    def run(*workers, **variables):
        def look():
            running = server.check_output("systemctl show --property=MainPID,NRestarts fenced leaky told")
            return running + server.check_output("sha256sum /etc/systemd/system/*.service /etc/evenkeel/*")

        before = look()
        with pytest.raises(AssertionError, match=r"Nothing was touched\. Correct this first") as refused:
            ansible_playbook(CONVERGE, "--extra-vars", json.dumps({"wish": workers, **variables}))
        assert look() == before
        return str(refused.value)

    return run


def test_limits_below_what_the_application_needs_are_refused_with_figures_of_the_live_worker(server, story, refusal):
    said = refusal({"name": "leaky", "max_memory_per_child": "20M"}, {"name": "told", "memory_max": "20M"})
    peak = re.search(r"leaky: max_memory_per_child 20M is not above the (\d+)M that a child has", said)
    needed = re.search(r"told: memory_max 20M is below the (\d+)M that the worker has once the application", said)

    main = server.show("told", "MainPID")["MainPID"]
    (child,) = story.children_of(main)
    live_peak = server.check_output(f"awk '/VmHWM/ {{print $2}}' /proc/{child}/status")
    live_need = server.check_output(
        f"cat /proc/{main}/smaps_rollup /proc/{child}/smaps_rollup | awk '/^Pss_Anon/ {{sum += $2}} END {{print sum}}'"
    )
    assert int(peak[1]) == pytest.approx(int(live_peak) / 1024, rel=0.2)
    assert int(needed[1]) == pytest.approx(int(live_need) / 1024, rel=0.3)


def test_limits_of_children_are_refused_for_a_pool_without_children(refusal):
    said = refusal({"name": "told", "pool": "threads", "max_memory_per_child": "200M", "max_tasks_per_child": 5})
    for option in ("max_memory_per_child", "max_tasks_per_child"):
        assert f"told: {option} works in the prefork pool only, and pool is threads" in said


def test_more_than_the_machine_has_is_refused_with_a_table_unless_that_is_wanted(server, refusal, ansible_playbook):
    wish = [{"name": "fenced", "memory_max": "1T"}, {"name": "leaky"}, {"name": "told", "memory_max": None}]
    said = refusal(*wish, celery_worker_memory_reserved="2G")
    has = int(server.check_output("awk '/MemTotal/ {print $2}' /proc/meminfo")) // 1024
    table = said.partition("more than the machine's memory:")[2].partition("Lower memory_max")[0]
    assert [line.split() for line in table.splitlines() if line.strip(" -")] == [
        ["fenced", "1048576M"],
        ["leaky", "250M"],
        ["told", "no", "limit"],
        ["reserved", "for", "the", "rest", "2048M"],
        ["needed", "1050874M"],
        ["the", "machine", "has", f"{has}M"],
        ["missing", f"{1050874 - has}M"],
    ]
    assert "Lower memory_max, or set celery_worker_memory_overcommit to true." in said
    wanted = {"wish": wish, "celery_worker_memory_reserved": "2G", "celery_worker_memory_overcommit": True}
    assert ansible_playbook(CONVERGE, "--check", "--extra-vars", json.dumps(wanted))["changed"]


def test_on_cgroup_v1_preflight_says_what_will_do_nothing(server, ansible_output):
    cgroup_v1 = not server.host.file("/sys/fs/cgroup/cgroup.controllers").exists
    wish = {"wish": [{"name": "told", "memory_high": "200M", "memory_swap_max": "50M"}]}
    said = ansible_output(CONVERGE, "--check", "--extra-vars", json.dumps(wish))
    assert ("told: memory_high and memory_swap_max will do nothing" in " ".join(said.split())) == cgroup_v1
