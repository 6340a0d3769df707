"""All hosts reboot in the middle of 200 tasks. Worker and broker start at boot."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.fixture(scope="session")
def moment(servers):
    """When the hosts were rebooted."""
    with ThreadPoolExecutor() as at_once:
        list(at_once.map(lambda server: server.check_output("/opt/shop/load.py restarted reboot"), servers))
    began = time.time()
    reboots = [subprocess.Popen(["docker", "restart", "--time=300", server.name]) for server in servers]
    assert not any(reboot.wait() for reboot in reboots)
    return began


def test_a_reboot_loses_no_task(server, moment, recovered, all_done):
    server.wait_for(lambda: server.run("systemctl is-active --quiet restarted").rc == 0, "the worker")
    assert server.show("restarted", "NRestarts") == {"NRestarts": "0"}
    recovered("reboot", server.run_of("restarted").ready - moment)
    assert all_done("reboot") == 0


def test_a_worker_without_its_broker_at_boot_is_started_again_until_it_is_there(server, moment, recovered):
    """Through more starts than start_limit_burst allows."""
    burst = int(server.show("waiting", "StartLimitBurst")["StartLimitBurst"])
    server.wait_for(lambda: server.journal("waiting").count("start operation timed out") > burst, "enough starts")
    server.check_output("systemctl start broker@6382")
    came = server.now()
    server.wait_for(lambda: server.run_of("waiting").state == "active", "the worker")
    recovered("no broker at boot: after it came", server.run_of("waiting").ready - came)
    server.serve("waiting", port=6382)
