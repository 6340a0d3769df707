"""What acts on cgroup v2 only: memory_high, memory_swap_max and oom_policy, and what is said and measured of them."""

import json

import pytest

CONVERGE = "molecule/cgroup2/converge.yml"
MEBI = 2**20
TOO_MUCH = 400  # MiB


@pytest.fixture
def memory(server):
    """What a file of a worker's control group says: memory("stop", "high"), or of one with several lines, each."""

    def read(worker, name):
        group = server.show(worker, "ControlGroup")["ControlGroup"]
        text = server.check_output(f"cat /sys/fs/cgroup{group}/memory.{name}")
        pairs = [line.split() for line in text.splitlines()]
        return int(text) if len(pairs) == 1 else {key: int(value) for key, value in pairs}

    return read


@pytest.fixture
def failure(server):
    """Waits for the error that a task has as its result."""

    def read(task):
        result = json.loads(server.check_output("redis-cli -p 6380 -n 1 get celery-task-meta-%s", task) or "{}")
        return result["result"]["exc_type"] if result.get("status") == "FAILURE" else None

    return lambda task: server.wait_for(lambda: read(task), f"the failure of {task}")


def test_above_memory_high_a_task_is_slowed_down_and_not_killed(server, memory):
    before = server.run_of("throttled")
    server.call("leak", "large-", "throttled", arguments=[250])
    server.wait_for(lambda: server.done("large-throttled"), "the large task")
    assert memory("throttled", "events")["high"] > 0
    assert memory("throttled", "events")["oom_kill"] == 0
    assert memory("throttled", "swap.current") > 0
    assert memory("throttled", "current") < 200 * MEBI
    server.serve("throttled")
    assert server.run_of("throttled") == before


def test_without_swap_it_is_so_slow_that_only_its_time_limit_ends_it(server, memory, failure):
    before = server.run_of("slow")
    server.call("eat", "slow-", "slow", arguments=[TOO_MUCH])
    assert failure("slow-slow") == "TimeLimitExceeded"
    assert memory("slow", "events")["high"] > 0
    assert memory("slow", "events")["oom_kill"] == 0
    server.serve("slow")
    assert server.run_of("slow") == before


def test_memory_swap_max_limits_what_a_worker_has_in_swap(server, memory, failure):
    before = server.run_of("swapped")
    server.call("leak", "fits-", "swapped", arguments=[200])
    server.wait_for(lambda: server.done("fits-swapped"), "the task that fits")
    assert 0 < memory("swapped", "swap.current") <= 200 * MEBI
    server.call("eat", "too-much-", "swapped", arguments=[TOO_MUCH])
    assert failure("too-much-swapped") == "WorkerLostError"
    server.serve("swapped")
    assert server.run_of("swapped") == before


@pytest.fixture
def out_of_memory(server, failure):
    """Has one of a worker's two children exceed memory_max while the other executes a task; returns the run before."""

    def exceed(worker):
        before = server.run_of(worker)
        server.hold("other-", worker)
        server.call("eat", "glutton-", worker, arguments=[TOO_MUCH])
        return before

    return exceed


def test_with_continue_only_the_task_that_is_too_large_is_lost(server, memory, failure, out_of_memory):
    before = out_of_memory("continue")
    assert failure("glutton-continue") == "WorkerLostError"
    assert memory("continue", "events")["oom_kill"] == 1
    server.release("other-continue")
    server.wait_for(lambda: server.done("other-continue"), "the other task")
    server.serve("continue")
    assert server.run_of("continue") == before


def test_with_stop_the_other_task_is_finished_before_the_worker_starts_again(server, out_of_memory):
    before = out_of_memory("stop")
    server.wait_for(lambda: server.show("stop", "ActiveState")["ActiveState"] == "deactivating", "the stop")
    server.release("other-stop")
    server.next_run("stop", before.id)
    assert server.done("other-stop")
    assert "Failed with result 'oom-kill'" in server.journal("stop")
    server.serve("stop")


def test_with_kill_the_whole_worker_is_killed_and_starts_again(server, out_of_memory):
    before = out_of_memory("kill")
    server.next_run("kill", before.id)
    assert "Failed with result 'oom-kill'" in server.journal("kill")
    assert server.begun("other-kill") == 1
    assert not server.done("other-kill"), "it is lost"
    server.serve("kill")


def test_the_sampler_reads_the_kernels_log_and_the_peak(server):
    server.check_output("systemctl start evenkeel-sample")
    lines = server.check_output("cat /var/lib/evenkeel/monitoring/evenkeel.prom").splitlines()
    samples = {
        name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }
    for worker in ("continue", "stop", "kill"):
        assert samples[f'evenkeel_service_oom_kills_total{{service="{worker}"}}'] >= 1
    for worker in ("stop", "kill"):
        assert samples[f'evenkeel_service_ends_total{{service="{worker}",reason="out of memory"}}'] == 1
    # The kernel's, as Debian 12's systemd has no MemoryPeak.
    assert samples['evenkeel_service_memory_peak_bytes{service="swapped"}'] > 140 * MEBI


@pytest.fixture
def without_memory_controller(server):
    """The services' slice has none."""
    drop_in = "/run/systemd/system/system.slice.d"
    server.check_output(
        f"mkdir {drop_in} && printf '[Slice]\\nDisableControllers=memory\\n' >{drop_in}/no_memory.conf &&"
        " systemctl daemon-reload"
    )
    yield
    server.check_output(f"rm -r {drop_in} && systemctl daemon-reload")


@pytest.mark.usefixtures("without_memory_controller")
def test_limits_that_would_not_act_are_refused_if_they_have_to(server, ansible_playbook):
    """Where they do, nothing is said: converge.yml has refused nothing."""
    before = server.check_output("sha256sum /etc/systemd/system/*.service")
    with pytest.raises(AssertionError, match=r"Nothing was changed\. Correct this first") as refused:
        ansible_playbook(CONVERGE)
    assert "slow: memory_max, memory_high and memory_swap_max will have no effect" in str(refused.value)
    assert server.check_output("sha256sum /etc/systemd/system/*.service") == before
