"""All hosts reboot in the middle of 200 tasks. Worker and broker come back by themselves."""

import subprocess
import time

import pytest


@pytest.fixture(scope="session")
def moment(hosts):
    """When the hosts were told to reboot."""
    for host in hosts:
        host.check_output("/opt/shop/load.py restarted reboot")
    began = time.time()
    names = [host.backend.get_hostname() for host in hosts]
    reboots = [subprocess.Popen(["docker", "restart", "--time=60", name]) for name in names]
    assert not any(reboot.wait() for reboot in reboots)
    return began


def test_a_reboot_loses_nothing(server, moment, recovered, all_done):
    server.wait_for(lambda: server.run("systemctl is-active --quiet restarted").rc == 0, 60, "the worker")
    up = server.show("restarted", "ActiveEnterTimestamp", "NRestarts")
    assert up["NRestarts"] == "0"
    recovered("reboot", float(up["ActiveEnterTimestamp"].strip("@")) - moment)
    assert all_done("reboot") == 0


def test_a_worker_without_its_broker_at_boot_waits_and_is_not_given_up(server, moment, recovered):
    """Through more starts than start_limit_burst allows."""
    burst = int(server.show("waiting", "StartLimitBurst")["StartLimitBurst"])
    server.wait_for(lambda: server.journal("waiting").count("start operation timed out") > burst, 60, "enough starts")
    server.check_output("systemctl start broker@6382")
    came = time.time()
    server.wait_for(lambda: server.show("waiting", "ActiveState")["ActiveState"] == "active", 40, "the worker")
    recovered("no broker at boot: after it came", time.time() - came)
    server.serve("waiting", port=6382)
