"""The checks after a deployment."""

import pytest
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.answer import answers_of
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.verify import (
    NOT_OK,
    OK,
    UNKNOWN,
    judged,
    pings_of,
    verify,
)
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.wanted import wanted
from reports import DAY, GONE, HOUR, MIB, NOW, answer, end, hours, period, worker

PONG = {"answers": True, "why": "", "children": 2, "concurrency": 2, "task_done": True}


def checked(host, ping=None, task="shop.ping", without_swap=(), **goals):
    answers, silent = answers_of({"vps": {"report": host}})
    pings = pings_of({"vps": {"pings": {"shop-worker": ping or PONG}}})
    return verify(answers, silent, pings, wanted(7, goals, without_swap), task)


def test_all_is_ok_where_all_is_well():
    checks = checked(answer())
    assert {check.verdict for check in checks} == {OK}
    assert judged(checks) == ("fine", "All 11 checks are ok.")


@pytest.mark.parametrize(
    ("host", "ping", "what", "verdict"),
    [
        (answer(worker(state="failed")), PONG, "it runs", NOT_OK),
        (answer(worker(state="starting")), PONG, "it runs", UNKNOWN),
        (answer(worker(state="running")), PONG, "it runs", OK),
        (answer(), {"answers": False, "why": "no answer"}, "it answers (inspect ping)", NOT_OK),
        (answer(), {"answers": None, "why": "no celery"}, "it answers (inspect ping)", UNKNOWN),
        (answer(), {**PONG, "children": 3}, "its number of processes", NOT_OK),
        (answer(), {**PONG, "task_done": False}, "it executes tasks", NOT_OK),
        (answer(), {**PONG, "task_done": None}, "it executes tasks", UNKNOWN),
        (answer(worker(tasks={})), PONG, "its log shows tasks", UNKNOWN),
        (answer(worker(hours=hours(1, 0, 0, 1))), PONG, "no refused calls (429)", NOT_OK),
        (answer(worker(log_level="error")), PONG, "its log shows tasks", OK),
        (answer(worker(kills=[{"t": NOW - HOUR}])), PONG, "not out of memory", NOT_OK),
        (answer(worker(leftovers=["process 12"])), PONG, "no stale processes", NOT_OK),
        (answer(worker(leftovers=None)), PONG, "no stale processes", UNKNOWN),
        (answer(stuck={"known": True, "count": 1}), PONG, "no stuck jobs", NOT_OK),
        (answer(stuck={"known": False, "why": "?"}), PONG, "no stuck jobs", UNKNOWN),
    ],
)
def test_each_check_can_fail_or_stay_open(host, ping, what, verdict):
    assert {check.what: check.verdict for check in checked(host, ping)}[what] == verdict


def test_swap_and_memory_belong_to_the_checks():
    machine = answer()["machine"]
    machine["memory"] = {"total": 100 * MIB, "used": 95 * MIB, "swap_total": 0, "swap_used": 0}
    found = {check.what: check.verdict for check in checked(answer(machine=machine))}
    assert (found["memory"], found["swap"]) == (NOT_OK, NOT_OK)
    found = {check.what: check.verdict for check in checked(answer(machine={**machine, "container": True}))}
    assert found["memory"] == UNKNOWN


def test_swap_is_asked_for_where_it_is_wanted():
    machine = answer()["machine"]
    bare = answer(machine={**machine, "memory": {**machine["memory"], "swap_total": 0}})
    found = {
        (total, needs): [check.verdict for check in checked(host, without_swap=needs) if check.what == "swap"]
        for total, host in (("some", answer()), ("none", bare))
        for needs in ((), ("vps",), ("another",))
    }
    assert found == {
        ("some", ()): [OK], ("some", ("vps",)): [OK], ("some", ("another",)): [OK],
        ("none", ()): [NOT_OK], ("none", ("vps",)): [], ("none", ("another",)): [NOT_OK],
    }  # fmt: skip


def test_what_was_before_the_first_deployment_does_not_count():
    before, ours = NOW - 3 * HOUR, NOW - HOUR
    task = {"succeeded": 1, "failed": 0, "retried": 0, "seconds": 1.0, "longest": 1.0, "last": before}
    service = worker(
        ours_since=ours, kills=[{"t": before}], events=[end(before, "out of memory")], hours=hours(1, 0, 0, 99),
        tasks={"t": task},
    )  # fmt: skip
    found = {check.what: check.verdict for check in checked(answer(service))}
    assert found["not out of memory"] == found["no refused calls (429)"] == OK
    assert found["its log shows tasks"] == UNKNOWN
    service = {**service, "kills": [{"t": NOW}], "after": period(refused=1)}
    found = {check.what: check.verdict for check in checked(answer(service))}
    assert found["not out of memory"] == found["no refused calls (429)"] == NOT_OK


def test_refused_calls_that_the_log_would_not_tell_are_not_known():
    for ours in (NOW - 30 * DAY, NOW - HOUR):
        service = worker(ours_since=ours, log_level="error", hours=hours())
        assert {check.what: check.verdict for check in checked(answer(service))}["no refused calls (429)"] == UNKNOWN


def test_a_host_that_does_not_answer_is_not_known():
    answers, silent = answers_of({"vps": GONE})
    checks = verify(answers, silent, pings_of({"vps": GONE}), wanted(7, {}))
    assert judged(checks) == ("can't know", "No check failed, 1 can't be known.")


def test_what_can_t_be_read_was_not_asked():
    checks = checked(answer(), ping={"answers": "yes"}, task="")
    assert [check.found for check in checks if check.verdict == UNKNOWN] == ["it was not asked"]
    assert judged([*checks, *checked(answer(worker(state="failed")))])[1].startswith("1 of ")
