"""The report on a host, as a whole."""

import dataclasses
import json
import os

import journals
import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import (
    collect,
    ends,
    history,
    machine,
    past,
    programs,
    unit_state,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.collect import (
    Report,
    ServiceReport,
    ours_since,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.config import Service
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.past import Period
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.programs import Stuck
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.status import parse
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.unit_state import UnitState
from project import PROJECT

ANSWERS = sorted((PROJECT / "tests/unit/plugins/plugin_utils/reports").glob("live-*.json"))
SERVICES = [Service("w", "worker"), Service("b", "beat")]
DAY = 86400
NOW = 100 * DAY


@pytest.fixture
def journal(monkeypatch, tmp_path):
    made = journals.Journal()
    for module in (history, past):
        monkeypatch.setattr(module, "Reading", made.Reading)
    units = {
        "w": UnitState("ready", status="ready; 2 running, 2 taken, 9 started in all", since=NOW - 60),
        "b": UnitState("missing"),
    }
    units["w"] = dataclasses.replace(units["w"], says=parse(units["w"].status))
    monkeypatch.setattr(unit_state, "look", lambda names: {name: units[name] for name in names})
    monkeypatch.setattr(ends, "kernel_is_heard", lambda: False)
    monkeypatch.setattr(machine, "system", lambda: machine.System("Debian", "257", "6.12"))
    monkeypatch.setattr(machine, "look", lambda: machine.Machine(machine.Memory(1, 1, 0, 0), [], 0.0, False))
    monkeypatch.setattr(programs, "stuck_jobs", lambda age: Stuck(why=age))
    monkeypatch.setattr(programs, "stale_processes", lambda service: None)
    monkeypatch.setattr(collect, "first_time", lambda *matches: NOW - 30 * DAY)
    monkeypatch.setattr(collect.time, "time", lambda: NOW)
    monkeypatch.setattr(collect, "STATE", str(tmp_path))
    return made


def names(kind):
    return {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_the_recorded_answers_have_the_fields_that_an_answer_has(path):
    answer = json.loads(path.read_text())
    assert set(answer) == names(Report)
    for service in answer["services"]:
        assert set(service) == names(ServiceReport)
        assert set(service["after"]) == names(Period)


def test_there_are_recorded_answers():
    assert len(ANSWERS) == 2


def test_a_report_is_data(journal):
    journal.line("w", "Task shop.order[1] succeeded in 2.5s: None", NOW - 1)
    journal.event("w", ends.FAILED, NOW - 10, UNIT_RESULT="watchdog")
    answer = collect.collect(SERVICES, 7, "1h").to_dict()
    assert json.loads(json.dumps(answer)) == answer
    worker, beat = answer["services"]
    assert (worker["state"], worker["running"], worker["hours"][-1]) == ("ready", 2, [0, 0, 0, 0])
    assert worker["hours"][-2] == [1, 0, 0, 0]
    assert [event["reason"] for event in worker["events"]] == ["hung"]
    assert (beat["kind"], beat["loaded"], beat["running"], beat["leftovers"]) == ("beat", False, None, None)
    assert answer["stuck"]["why"] == "1h"
    assert answer["window"] == [NOW - 7 * DAY, NOW]


def test_what_was_before_us_is_there_if_the_journal_reaches_back(journal, tmp_path):
    deployed = NOW - 2 * DAY
    generation = tmp_path / "services/w/generations/abc"
    generation.mkdir(parents=True)
    os.utime(generation, (deployed, deployed))
    journal.line("w", "Task shop.order[1] succeeded in 2.5s: None", deployed - 1)
    worker, beat = collect.collect(SERVICES, 7).services
    assert (worker.ours_since, worker.before.succeeded, worker.after.succeeded) == (deployed, 1, 0)
    assert (worker.before.since, worker.after.since) == (deployed - 7 * DAY, deployed)
    assert (beat.ours_since, beat.before) == (None, None)


def test_the_first_deployment_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(collect, "STATE", str(tmp_path))
    assert ours_since("w") is None
    for at, path in (
        (300, "services/w/generations/b"),
        (200, "services/w/original.json"),
        (250, "workers/w/generations/a"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
        os.utime(tmp_path / path, (at, at))
    assert ours_since("w") == 200
