"""How runs ended, by entries that systemd of two versions and the kernel wrote."""

from pathlib import Path

import journals
import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import ends
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.ends import Event
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.journal import Entry
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.metrics import REASONS

RECORDED = Path(__file__).with_name("journals")
OOM = (
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/system.slice/{0},"
    "task_memcg=/system.slice/{0},task=celery,pid=4300,uid=997"
)


def entry(message="", **fields):
    return Entry(1.0, "", message, fields)


@pytest.mark.parametrize("system", ["debian12", "debian13"])
def test_events_of_both_versions_of_systemd(system):
    journal = journals.recorded(RECORDED / f"{system}.jsonl")
    reading = journal.Reading(ends.question(["w-main", "w-quiet"]))
    found = [(ends.service_of(each), ends.event(each)) for each in reading]
    kinds = [event.kind for name, event in found if name == "w-main" and event and event.kind not in ("peak", "stop")]
    assert kinds == ["start", "exit", "end", "restart", "start"]
    reasons = [event.reason for name, event in found if event and event.kind == "end"]
    assert reasons[:2] == ["killed", "hung"]
    assert set(reasons[2:]) <= {"crashed"}


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("watchdog", "hung"),
        ("oom-kill", "out of memory"),
        ("signal", "killed"),
        ("exit-code", "crashed"),
        ("core-dump", "crashed"),
        ("timeout", "too slow"),
        ("resources", "not started"),
        ("something-new", "crashed"),
    ],
)
def test_each_end_has_a_reason(result, reason):
    event = ends.event(entry(MESSAGE_ID=ends.FAILED, UNIT_RESULT=result))
    assert (event.kind, event.reason) == ("end", reason)
    assert reason in REASONS


def test_a_service_that_is_given_up_has_not_ended_once_more():
    assert ends.event(entry(MESSAGE_ID=ends.FAILED, UNIT_RESULT="start-limit-hit")) is None


@pytest.mark.parametrize(
    "group",
    [
        "/user.slice/a,task_memcg=/system.slice/w.service,x",
        f"/user.slice/a,task_memcg=/system.slice/w.service,task=x,pid=1,uid=1{'x' * 900}",  # the rest is cut off
    ],
)
def test_a_control_groups_name_forges_no_kill(group):
    forged = OOM.format("w.service").replace("/system.slice/w.service", group)
    assert ends.killed_service(entry(OOM.format("w.service"))) == "w"
    assert ends.killed_service(entry(forged)) is None
    assert ends.killed_service(entry(forged[:1000].rpartition(",task_memcg=")[0])) is None


def test_an_end_near_a_kill_was_out_of_memory():
    """With control groups v1, systemd knows only of the signal."""
    end = Event(100.0, "end", reason="killed", result="signal")
    assert ends.with_kills(end, [99.8]).reason == "out of memory"
    assert ends.with_kills(end, [80.0]).reason == "killed"
    hung = Event(100.0, "end", reason="hung", result="watchdog")
    assert ends.with_kills(hung, [99.8]).reason == "hung"


@pytest.mark.parametrize(
    ("message", "service"),
    [
        (OOM.format("celery-worker.service"), "celery-worker"),
        (OOM.format("shop.slice/celery-worker.service/child"), "celery-worker"),
        (OOM.format("x").replace("/system.slice/x", "/docker/4711/system.slice/celery-worker.service"), None),
        (OOM.format("celery-worker.scope"), None),
        (f"app: {OOM.format('celery-worker.service')}", None),
        ("Memory cgroup out of memory: Killed process 4300 (celery)", None),
    ],
)
def test_the_kernel_says_of_which_service_it_has_killed_a_process(message, service):
    assert ends.killed_service(entry(message)) == service


def test_what_journald_left_out_is_counted_for_our_services():
    found = entry("Suppressed 47 messages from worker.service", N_DROPPED="47")
    assert ends.suppressed(found, ["worker"]) == 47
    assert ends.suppressed(found, ["other"]) == 0


def test_an_event_as_json_has_only_what_it_has():
    assert Event(1.0, "peak", bytes=7).to_dict() == {"t": 1.0, "kind": "peak", "bytes": 7}
