"""Above memory_high, with swap."""

MEBI = 2**20
testinfra_hosts = ["cgroup2-debian13"]


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
