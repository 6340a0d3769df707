"""Common to all faults: they occur in the middle of 200 tasks (files/load.py)."""

import json
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

TASKS = 200
# Message ids of systemd's journal entries: sd-messages.h
STOPPING, STARTED = "de5b426a63be47a7b6ac3eaac82e2f6f", "39f53479d3a045ac8e11786248231fbf"


@pytest.fixture
def all_done(server, noted):
    """Waits until each task of a load is completed; records and returns how many were completed twice."""

    def tally(load):
        log = server.check_output("cat /opt/shop/data/done.log").split()
        return Counter(line for line in log if line.startswith(f"{load}-"))

    def run(load):
        server.wait_for(lambda: len(tally(load)) == TASKS, f"all tasks of {load}")
        twice = sum(tally(load).values()) - TASKS
        noted(f"{load}: {TASKS} of {TASKS} done, twice", str(twice))
        return twice

    return run


@pytest.fixture(scope="session")
def outages():
    """When each of these services was down, from the journal of a host: [(from, until, host, service), …]."""

    def run(server, since, services):
        found, stopped = [], {}
        for entry in map(json.loads, server.journal("_PID=1", output="json", since=since).splitlines()):
            service, moment = entry.get("UNIT", "").removesuffix(".service"), int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            if service in services and entry.get("MESSAGE_ID") == STOPPING:
                stopped[service] = moment
            elif service in stopped and entry.get("MESSAGE_ID") == STARTED:
                found.append((stopped.pop(service), moment, server.name, service))
        return found

    return run


@pytest.fixture(scope="session")
def rebooted(servers):
    """When the hosts were rebooted."""
    with ThreadPoolExecutor() as at_once:
        list(at_once.map(lambda server: server.check_output("/opt/shop/load.py restarted reboot"), servers))
    began = time.time()
    reboots = [subprocess.Popen(["docker", "restart", "--time=300", server.name]) for server in servers]
    assert not any(reboot.wait() for reboot in reboots)
    return began
