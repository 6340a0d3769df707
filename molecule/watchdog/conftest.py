"""faults.py causes all faults at the same moment; each test then waits for the outcome of one fault."""

import json

import pytest

INJECTED = {}


@pytest.fixture(scope="module")
def injected(host):
    """What happened: {"moment": …, "waiting": tasks wait, "over": the outages' end, "outlived": […],
    "runs": {worker: InvocationID}, "pids": {worker: main process}, …}."""
    name = host.backend.get_hostname()
    if name not in INJECTED:
        INJECTED[name] = json.loads(host.check_output("/opt/shop/faults.py"))
    return INJECTED[name]


@pytest.fixture
def unharmed(server, injected):
    """Not restarted since before the fault."""

    def run(worker):
        now = server.run_of(worker)
        return (now.id, now.state) == (injected["runs"][worker], "active")

    return run


@pytest.fixture
def restarted(server, injected):
    """Waits until a worker is ready in another run than before the fault; returns that run."""
    return lambda worker: server.next_run(worker, injected["runs"][worker])
