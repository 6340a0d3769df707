"""faults.py causes all faults around one full minute; each test then looks at what its beat has sent."""

import json

import pytest

INJECTED = {}
# Each message in a queue: the entry's name, and when beat sent it.
READ = """
import base64, json, sys, redis
client = redis.Redis(port=int(sys.argv[1]))
messages = [json.loads(raw) for raw in client.lrange(sys.argv[2], 0, -1)]
print(json.dumps([json.loads(base64.b64decode(message["body"]))[0] for message in messages]))
"""
PORTS = {
    **{"broker-stopped": 6381, "broker-frozen": 6382, "broker-absent": 6383, "locked": 6386},
    **{"stopped-meanwhile": 6384, "killed-meanwhile": 6384},
}


@pytest.fixture(scope="module")
def injected(host):
    """What happened: {"minute": the full minute, "over": the outages' end, "runs": {beat: InvocationID}, …}."""
    name = host.backend.get_hostname()
    if name not in INJECTED:
        INJECTED[name] = json.loads(host.check_output("/opt/shop/faults.py"))
    return INJECTED[name]


@pytest.fixture(scope="module")
def sent(server):
    """What a beat has sent, as far as it is in its queue: [(entry, time), …]."""

    def read(beat, since=0):
        output = server.check_output("/opt/shop/venv/bin/python -c %s %s %s", READ, str(PORTS.get(beat, 6380)), beat)
        return sorted((name, *times) for name, *times in json.loads(output) if not times or times[0] >= since)

    return read


@pytest.fixture
def minutes(sent, injected, wait_for):
    """When a beat has sent what was due at the full minute: known once it has sent what is due a minute later."""

    def read(beat):
        following = injected["minute"] + 60
        wait_for(lambda: [each for each in sent(beat, following) if each[0] == "minute"], f"{beat} a minute later")
        return [when for name, when in sent(beat, injected["minute"] - 1) if name == "minute" and when < following]

    return read


@pytest.fixture
def unharmed(server, injected):
    """Not restarted since before the fault."""
    return lambda beat: server.run_of(beat).id == injected["runs"][beat]
