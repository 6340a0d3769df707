"""faults.py makes all workers ill at the same moment; each test then waits for the end of its own story."""

import json

import pytest

INJECTED = {}


@pytest.fixture(scope="module")
def injected(host):
    """What happened: {"moment": …, "over": the outages' end, "outlived": […], "pids": {worker: main process}, …}."""
    name = host.backend.get_hostname()
    if name not in INJECTED:
        INJECTED[name] = json.loads(host.check_output("/opt/shop/faults.py"))
    return INJECTED[name]


@pytest.fixture
def unharmed(server, injected):
    """Not restarted since before the fault."""

    def run(worker):
        now = server.show(worker, "MainPID", "NRestarts", "ActiveState")
        return now == {"MainPID": str(injected["pids"][worker]), "NRestarts": "0", "ActiveState": "active"}

    return run


@pytest.fixture
def back_after(server, injected):
    """Waits until another main process is ready; how long after the fault was that?"""

    def run(worker):
        def again():
            now = server.show(worker, "MainPID", "ActiveState")
            return now["ActiveState"] == "active" and now["MainPID"] != str(injected["pids"][worker])

        server.wait_for(again, 90, f"a new {worker}")
        since = server.show(worker, "ActiveEnterTimestamp")["ActiveEnterTimestamp"]
        return float(since.strip("@")) - injected["moment"]

    return run
