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
from reports import GONE, HOUR, MIB, NOW, answer, hours, worker

PONG = {"answers": True, "why": "", "children": 2, "concurrency": 2, "task_done": True}


def checked(host, ping=None, task="shop.ping", **goals):
    answers, silent = answers_of({"vps": {"report": host}})
    pings = pings_of({"vps": {"pings": {"shop-worker": ping or PONG}}})
    return verify(answers, silent, pings, wanted(7, goals), task)


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


def test_a_host_that_does_not_answer_is_not_known():
    answers, silent = answers_of({"vps": GONE})
    checks = verify(answers, silent, pings_of({"vps": GONE}), wanted(7, {}))
    assert judged(checks) == ("can't know", "No check failed, 1 can't be known.")


def test_what_can_t_be_read_was_not_asked():
    checks = checked(answer(), ping={"answers": "yes"}, task="")
    assert [check.found for check in checks if check.verdict == UNKNOWN] == ["it was not asked"]
    assert judged([*checks, *checked(answer(worker(state="failed")))])[1].startswith("1 of ")
