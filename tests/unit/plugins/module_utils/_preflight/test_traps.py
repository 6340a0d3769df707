"""What the host adds to what a service tells, for the doctor's rules."""

import time

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.facts import FORMS, read
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import traps
from workers import beat, worker

TOLD = {"nodes": {"w@%h": "w@vps"}, "default_queues": ["celery"]}
UNKNOWN = {"CPUUsageNSec": str(2**64 - 1), "ActiveEnterTimestampMonotonic": "0"}


@pytest.fixture
def known(monkeypatch):
    """What is known of a service, from what it told and its unit's properties."""

    def look(instance, times=None, **answer):
        monkeypatch.setattr(traps.systemd, "show", lambda names, _properties: dict.fromkeys(names, times or UNKNOWN))
        (service,) = traps.services([instance], {instance["name"]: {"facts": read({"settings": TOLD}), **answer}})
        of_host = service.facts["service"]
        assert all(FORMS["service"][name](value) for name, value in of_host.items())
        return of_host

    return look


def test_a_worker_has_its_nodes_name_and_the_queues_that_it_consumes(known):
    assert known(worker()).items() >= {"node": "w@vps", "queues": ["celery"]}.items()
    assert known(worker(queues=["mail"]))["queues"] == ["mail"]


def test_a_beat_has_the_queues_to_which_it_sends(known):
    entries = [{"queue": "mail", "name": "nightly"}, {"queue": "celery", "name": "hourly"}]
    found = known(beat(), entries=entries)
    assert found["entries"] == {"mail": "nightly", "celery": "hourly"}
    assert "queues" not in found


def test_the_processors_time_is_known_only_while_the_unit_runs(known):
    began = str(int((time.monotonic() - 60) * 1e6))
    found = known(worker(), {"CPUUsageNSec": "5000000000", "ActiveEnterTimestampMonotonic": began})
    assert found["cpu"] == 5
    assert 60 <= found["up"] < 120
    assert "cpu" not in known(worker())
    assert "cpu" not in known(worker(), {"CPUUsageNSec": "[not set]", "ActiveEnterTimestampMonotonic": began})


def test_a_service_that_told_nothing_is_left_out():
    assert traps.services([worker()], {"w": {"failed": "ImportError"}}) == []
