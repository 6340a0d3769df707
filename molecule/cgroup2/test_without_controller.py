"""Without the memory controller. Last, as Debian 13's systemd gives it back only to units that start."""

import pytest

CONVERGE = "molecule/cgroup2/converge.yml"
HIGH = {
    "cgroup2-debian12": "slow: memory_max, memory_high and memory_swap_max",
    "cgroup2-debian13": "throttled: memory_high",
}


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
    assert f"{HIGH[server.name]} will have no effect" in str(refused.value)
    assert server.check_output("sha256sum /etc/systemd/system/*.service") == before
