"""What a report says of the past of a service."""

from pathlib import Path

import journals
import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import ends, history, past
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.config import Service
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.metrics import OTHER_TASKS
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.past import HOUR, Past, Task

RECORDED = Path(__file__).with_name("journals")
DAY = 24 * HOUR
NOW = 100 * DAY
DONE = "Task shop.order[1] succeeded in 2.5s: None"


@pytest.fixture
def journal(monkeypatch):
    return watched(monkeypatch, journals.Journal())


def watched(monkeypatch, journal):
    for module in (history, past):
        monkeypatch.setattr(module, "Reading", journal.Reading)
    return journal


def gathered(kind="worker", since=NOW - 7 * DAY, now=NOW, ours=None, kernel=False):
    found = Past(Service("w", kind), since, now, ours)
    _suppressed, complete = history.listen({"w": found}, kernel)
    assert complete
    return found


def test_tasks_are_counted_by_hour_and_name(journal):
    since = NOW - 7 * DAY
    for at in (since - 1, since, since + HOUR, since + HOUR + 1, NOW - 1):
        journal.line("w", DONE, at)
    journal.line("w", "Task shop.order[2] raised unexpected: ValueError()", NOW - 1)
    journal.line("w", "429 Too Many Requests", NOW - 1)
    found = gathered()
    assert [(hour, counts) for hour, counts in enumerate(found.hours) if any(counts)] == [
        (0, [1, 0, 0, 0]),
        (1, [2, 0, 0, 0]),
        (7 * 24 - 1, [1, 1, 0, 1]),
    ]
    assert found.tasks == {"shop.order": Task(4, 1, 0, 10.0, 2.5, NOW - 1)}


def test_before_and_since_our_first_deployment_are_compared(journal):
    ours = NOW - 2 * DAY
    for at in (ours - 8 * DAY, ours - 2 * DAY, ours - 2 * DAY + 1, ours - 1, ours, NOW - 1):
        journal.line("w", DONE, at)
    journal.line("w", "WorkerLostError('Worker exited prematurely: signal 9", ours - 1)
    found = gathered(ours=ours)
    before, after = found.period(False, found.begin), found.period(True, ours)
    assert (before.since, before.until, before.succeeded, before.lost, before.busiest_hour) == (
        ours - 7 * DAY,
        ours,
        3,
        1,
        2,
    )
    assert (after.since, after.until, after.succeeded, after.lost, after.busiest_hour) == (ours, NOW, 2, 0, 1)


def test_what_was_long_before_is_not_read(journal):
    assert gathered(ours=NOW - 90 * DAY).begin == NOW - 7 * DAY


def test_of_many_tasks_few_are_named(journal):
    for number in range(1000):
        journal.line("w", f"Task task-{number}[1] succeeded in 1s: None", NOW - 1)
    assert gathered().tasks[OTHER_TASKS].succeeded == 800


def test_the_watchdogs_reason_explains_a_hang(journal):
    journal.line("w", "evenkeel_watchdog: asking systemd for a restart: the loop has not turned for 31 s", NOW - 20)
    journal.event("w", ends.FAILED, NOW - 10, UNIT_RESULT="watchdog")
    (end,) = gathered().explained([])
    assert (end.reason, end.said) == ("hung", "the loop has not turned for 31 s")


def test_the_last_line_explains_a_crash(journal):
    journal.line("w", "ModuleNotFoundError: No module named 'redis://:geheim@host'", NOW - 12)
    journal.line("w", "    ^^^^", NOW - 11)
    journal.event("w", ends.EXITED, NOW - 10, EXIT_CODE="exited", EXIT_STATUS="1")
    journal.event("w", ends.FAILED, NOW - 10, UNIT_RESULT="exit-code")
    end = gathered().explained([])[-1]
    assert end.said == "exit status 1; its last line: ModuleNotFoundError: No module named 'redis://:********@host'"


def test_a_kill_as_memory_ran_out_explains_an_end(journal):
    journal.add("oom-kill:constraint=C,task_memcg=/system.slice/w.service,task=x", NOW - 10.2, _TRANSPORT="kernel")
    journal.event("w", ends.EXITED, NOW - 10, EXIT_CODE="killed", EXIT_STATUS="9")
    journal.event("w", ends.FAILED, NOW - 10, UNIT_RESULT="signal")
    found = gathered(kernel=True)
    assert list(found.kills) == [NOW - 10.2]
    end = found.explained(found.kills)[-1]
    assert (end.reason, end.said) == ("out of memory", "the kernel killed a process of it, as memory had run out")


def test_what_an_application_writes_has_bounds(journal):
    journal.line("w", "Task shop.order[1] succeeded in 9e99s: None", NOW - 1)
    for number in range(past.MOST_EVENTS + 5):
        journal.event("w", ends.OOM, NOW - 9000 + number)
    found = gathered()
    assert found.tasks["shop.order"] == Task(1, 0, 0, 0.0, 0.0, NOW - 1)
    assert len(found.kills) == past.MOST_EVENTS
    assert len(history.kills([sampled(1, 5, 0, 1), sampled(2, 5, 10**9, 1)], "w")) == past.MOST_EVENTS


def test_a_beat_that_waits_for_the_lock_has_not_ended(journal):
    journal.event("w", ends.RESTARTED, NOW - 30)
    journal.line("w", "another beat of this application holds the lock: other:7. This one sends nothing", NOW - 20)
    journal.event("w", ends.FAILED, NOW - 10, UNIT_RESULT="timeout")
    assert [event.kind for event in gathered(kind="beat").explained([])] == ["restart"]


@pytest.mark.parametrize("system", ["debian12", "debian13"])
def test_recorded_journals_of_both_systems_have_reasons(monkeypatch, system):
    watched(monkeypatch, journals.recorded(RECORDED / f"{system}.jsonl"))
    found = Past(Service("w-main", "worker"), 1795810000.0, 1795820000.0, None)
    history.listen({"w-main": found}, False)
    (end,) = [event for event in found.explained([]) if event.kind == "end"]
    assert (end.reason, end.said[:47]) == (
        "hung",
        "the consumer's loop has not turned for 11 s"[:47],
    ) or end.said.endswith("12 s")
    assert [sum(column) for column in zip(*found.hours)][1:] == [5, 2, 11]


def sampled(at, used, kills, working):
    return {"t": at, "used": used, "swap": 0, "services": {"w": [working, working, 1, kills]}}


def test_kills_are_where_the_samples_count_more():
    samples = [sampled(1, 5, None, 1), sampled(2, 5, 0, 1), sampled(3, 5, 2, 1), sampled(4, 5, 2, 1)]
    assert history.kills(samples, "w") == [3, 3]
    assert (history.first(samples, "w"), history.first(samples, "x")) == (1, None)


def test_few_points_keep_the_highest_values():
    samples = [sampled(at * 600, at % 3, 0, None if at % 2 else at) for at in range(7 * 24 * 6)]
    points = history.thinned(samples, 0, 7 * DAY)
    assert len(points) == history.POINTS
    assert points[0] == {"t": 0, "at": 1200, "used": 2, "swap": 0, "services": {"w": [2, 2, 1]}, "n": 3}


def test_only_the_sampler_tells_history(journal, monkeypatch):
    line = '{"used":5,"swap":1,"services":{}}'
    journal.line("evenkeel-sample", line, NOW - 5)
    journal.line("evenkeel-sample", "{", NOW - 4)
    journal.line("evenkeel-sample", "[]", NOW - 4)
    journal.line("w", line, NOW - 3)
    assert history.samples(NOW - 10) == [{"t": NOW - 5, "used": 5, "swap": 1, "services": {}}]
