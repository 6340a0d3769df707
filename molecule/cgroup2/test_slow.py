"""Above memory_high, without swap."""

TOO_MUCH = 400  # MiB
testinfra_hosts = ["cgroup2-debian12"]


def test_without_swap_it_is_so_slow_that_only_its_time_limit_ends_it(server, memory, failure):
    before = server.run_of("slow")
    server.call("eat", "slow-", "slow", arguments=[TOO_MUCH])
    assert failure("slow-slow") == "TimeLimitExceeded"
    assert memory("slow", "events")["high"] > 0
    assert memory("slow", "events")["oom_kill"] == 0
    server.serve("slow")
    assert server.run_of("slow") == before
