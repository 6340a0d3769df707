"""Workers that run out of memory: what is killed, what is restarted, and what continues.

faults.py makes all of them run out of memory at the same moment; each test then waits for the outcome of one fault.
"""

import itertools
import json
import re

import pytest

CONVERGE = "molecule/memory/converge.yml"
TOO_MUCH = 400  # MiB; memory_max is 250M
# In a slice of 400M. It is larger than the task when the memory is used up.
DATABASE = "import time; held = b'x' * (200 << 20); print('held', flush=True); time.sleep(600)"


class Outcome:
    """What has happened to a host's workers since they ran out of memory at `moment`."""

    def __init__(self, server, moment, runs, pids, children):
        self.server, self.moment, self.runs, self.pids, self.children = server, moment, runs, pids, children

    def unharmed(self, worker):
        """Not restarted since before the fault."""
        now = self.server.run_of(worker)
        return (now.id, now.state) == (self.runs[worker], "active")

    def failed(self, task):
        """Waits for the error that the task has as its result."""

        def failure():
            result = self.server.check_output("redis-cli -p 6380 -n 1 get celery-task-meta-%s", task)
            result = json.loads(result or "{}")
            return result["result"]["exc_type"] if result.get("status") == "FAILURE" else None

        return self.server.wait_for(failure, f"the failure of {task}")

    def when(self, worker, words):
        """The time of the first line of the worker's journal with these words."""
        lines = self.server.journal(worker, output="short-unix").splitlines()
        return next(float(line.split()[0]) for line in lines if words in line)


@pytest.fixture(scope="module")
def outcome(server):
    """All faults, at the same moment."""
    return Outcome(server, **json.loads(server.check_output("/opt/shop/faults.py")))


def test_a_task_above_memory_max_costs_only_the_child_that_runs_it(server, outcome):
    gluttons = ("glutton", "late-glutton")
    assert {outcome.failed(task) for task in gluttons} == {"WorkerLostError"}

    def replaced():
        now = server.children(outcome.pids["limited"])
        return now if len(now) == len(outcome.children) and set(now) != set(outcome.children) else None

    now = server.wait_for(replaced, "as many children as before")
    assert len({*now} & {*outcome.children}) == 1, "the child that executes the other task"
    server.release("innocent")
    server.wait_for(lambda: server.done("innocent"), "the other task")
    server.serve("limited")
    assert [server.begun(task) for task in (*gluttons, "innocent")] == [1, 1, 1]
    assert outcome.unharmed("limited"), server.journal("limited")
    assert "Worker exited prematurely: signal 9 (SIGKILL)" in server.journal("limited")


def test_the_kernel_kills_the_child_even_if_the_main_process_is_larger(server, outcome, recovered):
    server.wait_for(lambda: server.done("mapping-next"), "a task of the new child")
    assert outcome.failed("mapping-glutton") == "WorkerLostError"
    assert outcome.unharmed("mapping"), server.journal("mapping")
    recovered("out of memory: child", outcome.when("mapping", "[mapping-next] succeeded") - outcome.moment)


def test_a_worker_whose_main_process_exceeds_memory_max_is_restarted(server, outcome, recovered):
    back = server.next_run("hoarder", outcome.runs["hoarder"])
    recovered("out of memory: main process", back.ready - outcome.moment)
    assert "code=killed, status=9/KILL" in server.journal("hoarder")
    server.serve("hoarder")


@pytest.mark.parametrize(("worker", "tasks"), [("leaky", "leak"), ("counted", "count")])
def test_a_child_is_replaced_at_its_limit_and_no_task_is_lost(server, outcome, recovered, worker, tasks):
    sent, most = {"leak": (12, 5), "count": (6, 2)}[tasks]
    names = [f"{tasks}-{number}" for number in range(sent)]
    server.wait_for(lambda: server.done(*names), f"all tasks of {worker}")
    lines = server.check_output("grep '^%s-' /opt/shop/data/done.log", tasks).splitlines()
    work = [line.split() for line in lines]
    pids = [pid for name, pid in work]
    assert max(map(pids.count, pids)) <= most
    assert "SIGKILL" not in server.journal(worker)
    assert outcome.unharmed(worker)

    changes = [(last, first) for (last, old), (first, new) in itertools.pairwise(work) if old != new]
    pauses = [
        outcome.when(worker, f"[{first}] succ") - outcome.when(worker, f"[{last}] succ") for last, first in changes
    ]
    recovered(f"a child replaced: {worker}", max(pauses))


def test_a_poison_task_that_counts_its_deliveries_fails_after_three(server, outcome, recovered):
    assert outcome.failed("poison") == "RuntimeError"
    assert server.begun("poison") == 3
    server.serve("poisoned")
    assert outcome.unharmed("poisoned"), server.journal("poisoned")
    recovered("poison: given up", outcome.when("poisoned", "given up: it was started 3 times") - outcome.moment)


def test_celery_retries_a_lost_task_at_most_max_retries_times(server, outcome):
    """With Celery 5.7 or later. Before, the task fails at once."""
    assert outcome.failed("retried-poison") == "WorkerLostError"
    version = server.check_output("/opt/shop/venv/bin/celery --version")
    assert server.begun("retried-poison") == (3 if version >= "5.7" else 1)


def test_a_poison_task_that_kills_the_whole_worker_fails_after_three_deliveries(server, outcome, recovered):
    """At most three times: Redis may hand it over again, after the visibility timeout, while it still runs."""
    assert outcome.failed("one-process-poison") == "RuntimeError"
    assert 1 <= server.begun("one-process-poison") <= 3
    server.serve("one-process", port=6381)
    assert 1 <= int(server.show("one-process", "NRestarts")["NRestarts"]) <= 3
    recovered(
        "poison: given up, threads", outcome.when("one-process", "given up: it was started 3 times") - outcome.moment
    )


def test_an_unlimited_poison_task_ends_when_it_is_revoked(server, outcome):
    server.call("eat_again", "endless-", "poisoned", arguments=[TOO_MUCH])
    server.wait_for(lambda: server.begun("endless-poisoned") > 5, "a loop")
    # With --destination, the time is long enough for a slow machine, and a quick answer ends the wait.
    named = "--timeout=60 --destination=poisoned@$(hostname)"
    server.check_output(f"cd /opt/shop && venv/bin/celery -A shop control {named} revoke endless-poisoned")
    server.serve("poisoned")
    assert "Discarding revoked task: shop.eat_again[endless-poisoned]" in server.journal("poisoned")
    assert outcome.unharmed("poisoned"), server.journal("poisoned")


def test_when_the_machine_runs_out_of_memory_the_task_is_killed_first(server, outcome):
    for command in (
        "mkdir -p /run/systemd/system/unlimited.service.d",
        "printf '[Service]\\nSlice=small-machine.slice\\n' > /run/systemd/system/unlimited.service.d/slice.conf",
        "systemctl daemon-reload",
        "systemctl set-property --runtime small-machine.slice MemoryMax=400M",
        f'systemd-run --slice=small-machine.slice --unit=database python3 -c "{DATABASE}"',
        "systemctl restart unlimited",
    ):
        server.check_output(command)
    server.wait_for(lambda: "held" in server.journal("database"), "the database")
    before = [server.run_of(unit).id for unit in ("database", "unlimited")]

    server.call("eat", "too-much-", "unlimited", arguments=[TOO_MUCH])
    assert outcome.failed("too-much-unlimited") == "WorkerLostError"
    server.serve("unlimited")
    now = [server.run_of(unit) for unit in ("database", "unlimited")]
    assert [(run.id, run.state) for run in now] == [(run, "active") for run in before]


def test_memory_options_reach_systemd(server, outcome):
    """On cgroup v1, MemoryHigh and MemorySwapMax are set, but have no effect."""
    mebi = 2**20
    now = server.show(
        "configured", "MemoryHigh", "MemoryMax", "MemorySwapMax", "OOMPolicy", "OOMScoreAdjust", "MainPID"
    )
    main = now.pop("MainPID")
    assert now == {
        "MemoryHigh": str(200 * mebi),
        "MemoryMax": str(250 * mebi),
        "MemorySwapMax": str(50 * mebi),
        "OOMPolicy": "continue",
        "OOMScoreAdjust": "300",
    }
    (child,) = server.children(main)
    assert [server.check_output(f"cat /proc/{pid}/oom_score_adj") for pid in (main, child)] == ["300", "500"]


def test_a_garbage_collection_does_not_copy_shared_memory_into_a_child(server):
    (child,) = server.children(server.show("configured", "MainPID")["MainPID"])

    def shared():
        return int(server.check_output(f"awk '/^Shared_Dirty/ {{print $2}}' /proc/{child}/smaps_rollup"))

    server.serve("configured")
    before = shared()
    server.call("collect", "collected-", "configured")
    server.wait_for(lambda: server.done("collected-configured"), "the garbage collection")
    # Without the watchdog it is about half.
    assert shared() > 0.8 * before


@pytest.fixture
def refusal(ansible_playbook, server):
    """Runs with these workers, which must be refused with nothing changed; returns the message."""

    def run(*workers, **variables):
        def look():
            running = [server.run_of(worker) for worker in ("limited", "leaky", "configured")]
            return running, server.check_output("sha256sum /etc/systemd/system/*.service /etc/evenkeel/*")

        before = look()
        with pytest.raises(AssertionError, match=r"Nothing was changed\. Correct this first") as refused:
            ansible_playbook(CONVERGE, "--extra-vars", json.dumps({"wish": workers, **variables}))
        assert look() == before
        return str(refused.value)

    return run


def test_limits_below_what_the_application_needs_are_refused_with_measured_figures(server, outcome, refusal):
    message = refusal({"name": "leaky", "max_memory_per_child": "20M"}, {"name": "configured", "memory_max": "20M"})
    peak = re.search(r"leaky: max_memory_per_child 20M is not above the (\d+)M that a child uses", message)
    needed = re.search(
        r"configured: memory_max 20M is below the (\d+)M that the service uses once the application", message
    )

    main = server.show("configured", "MainPID")["MainPID"]
    (child,) = server.children(main)
    live_peak = server.check_output(f"awk '/VmHWM/ {{print $2}}' /proc/{child}/status")
    live_need = server.check_output(
        f"cat /proc/{main}/smaps_rollup /proc/{child}/smaps_rollup | awk '/^Pss_Anon/ {{sum += $2}} END {{print sum}}'"
    )
    assert int(peak[1]) == pytest.approx(int(live_peak) / 1024, rel=0.2)
    assert int(needed[1]) == pytest.approx(int(live_need) / 1024, rel=0.3)


def test_limits_of_children_are_refused_for_a_pool_without_children(refusal):
    message = refusal(
        {"name": "configured", "pool": "threads", "max_memory_per_child": "200M", "max_tasks_per_child": 5}
    )
    for option in ("max_memory_per_child", "max_tasks_per_child"):
        assert re.search(
            rf"configured: {option} \S+ has an effect only in the prefork pool, but pool is threads", message
        )


def test_limits_above_the_machines_memory_are_refused_unless_overcommit_is_set(server, refusal, ansible_playbook):
    wish = [{"name": "limited", "memory_max": "1T"}, {"name": "leaky"}, {"name": "configured", "memory_max": None}]
    message = refusal(*wish, celery_worker_memory_reserved="2G")
    has = int(server.check_output("awk '/MemTotal/ {print $2}' /proc/meminfo")) // 1024
    table = message.partition("more than the machine's memory:")[2].partition("Lower memory_max")[0]
    assert [line.split() for line in table.splitlines() if line.strip(" -")] == [
        ["limited", "1048576M"],
        ["leaky", "250M"],
        ["configured", "no", "limit"],
        ["reserved", "for", "the", "rest", "2048M"],
        ["needed", "1050874M"],
        ["the", "machine", "has", f"{has}M"],
        ["missing", f"{1050874 - has}M"],
    ]
    assert "Lower memory_max, or set celery_worker_memory_overcommit to true." in message
    wanted = {"wish": wish, "celery_worker_memory_reserved": "2G", "celery_worker_memory_overcommit": True}
    assert ansible_playbook(CONVERGE, "--check", "--extra-vars", json.dumps(wanted))["changed"]


def test_on_cgroup_v1_preflight_warns_of_limits_without_effect(server, ansible_output):
    cgroup_v1 = not server.host.file("/sys/fs/cgroup/cgroup.controllers").exists
    wish = {"wish": [{"name": "configured", "memory_high": "200M", "memory_swap_max": "50M"}]}
    message = ansible_output(CONVERGE, "--check", "--extra-vars", json.dumps(wish))
    assert ("configured: memory_high and memory_swap_max will have no effect" in " ".join(message.split())) == cgroup_v1
