"""memory_swap_max and oom_policy, which act on cgroup v2 only, and what is measured of them."""

import pytest

MEBI = 2**20
TOO_MUCH = 400  # MiB


@pytest.fixture(scope="module")
def held(server):
    """Each worker executes a task that ends when a test releases it."""
    server.hold("other-", "continue", "stop", "kill")


@pytest.fixture
def out_of_memory(server, held):
    """Has one of a worker's two children exceed memory_max while the other executes a task; returns the run before."""

    def exceed(worker):
        before = server.run_of(worker)
        server.call("eat", "glutton-", worker, arguments=[TOO_MUCH])
        return before

    return exceed


def test_with_continue_only_the_task_that_exceeds_memory_and_swap_is_lost(server, memory, failure, out_of_memory):
    before = out_of_memory("continue")
    assert failure("glutton-continue") == "WorkerLostError"
    assert memory("continue", "events")["oom_kill"] == 1
    server.release("other-continue")
    server.wait_for(lambda: server.done("other-continue"), "the other task")
    server.call("leak", "fits-", "continue", arguments=[200])
    server.wait_for(lambda: server.done("fits-continue"), "the task that fits")
    assert 0 < memory("continue", "swap.current") <= 200 * MEBI
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
    assert samples['evenkeel_service_memory_peak_bytes{service="continue"}'] > 140 * MEBI
