"""What a host answers is checked before it is used: it may be anything."""

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.answer import Answer, answers_of
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.read import read
from hypothesis import given, settings
from hypothesis import strategies as st
from project import PROJECT
from reports import NOW, WINDOW, answer, hours, worker

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_texts_become_printable_and_short():
    service = worker("\x1b[31mred\u202e", status="s" * 1000)
    found = read(Answer, answer(service)).services[0]
    assert found.name == r"\x1b[31mred\u202e"
    assert len(found.status) == 300


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"services": [worker(hours=[[0, 0, 0, 0]] * 200)]}, "shop-worker: hours does not fit the window"),
        ({"services": [worker(hours=[[0, 0]])]}, "shop-worker: hours does not fit the window"),
        ({"window": [NOW, NOW]}, f"window reaches from {NOW} to {NOW}"),
        ({"time": float("nan")}, "time is nan, which is out of range"),
        ({"time": True}, "time is no float"),
        ({"services": [{"name": "w"}]}, "services[0].kind is missing"),
        ({"services": [worker(tasks={"t": 1})]}, "services[0].tasks.t is no dict"),
        ({"services": [worker()] * 20000}, "services has 20000 entries, more than 10000"),
        ({"machine": []}, "machine is no dict"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_with_the_place(wrong, why):
    answers, silent = answers_of({"vps": {"report": answer(**wrong)}})
    assert (answers, silent) == ({}, {"vps": f"its answer can't be read: {why}"})


@settings(max_examples=20)
@given(JSON)
def test_whatever_a_host_answers_is_an_answer_or_a_reason(data):
    answers, silent = answers_of(
        {"vps": data, "other": {"report": data}, "third": {"report": {**answer(), "stuck": data}}}
    )
    assert {*answers, *silent} == {"vps", "other", "third"}


def test_an_unreachable_host_says_so():
    result = {"unreachable": True, "msg": "Connection timed out\n"}
    assert answers_of({"vps": result}) == ({}, {"vps": "it can't be reached: Connection timed out"})
    assert answers_of({"vps": {"failed": True, "msg": "no journal."}}) == ({}, {"vps": "no journal"})
    result = {"msg": "MODULE FAILURE", "module_stderr": "Traceback\nOSError: the disk is full\n"}
    assert answers_of({"vps": result}) == ({}, {"vps": "OSError: the disk is full"})


@pytest.mark.parametrize("path", sorted((PROJECT / "tests/unit/plugins/plugin_utils/reports").glob("*.json")), ids=str)
def test_what_real_hosts_answered_can_be_read(path):
    answers, silent = answers_of({"vps": {"report": json.loads(path.read_text())}})
    assert silent == {}
    assert answers["vps"].services


def test_fields_that_are_not_known_do_no_harm():
    assert read(Answer, {**answer(), "new": 1}) == read(Answer, answer())


def test_what_the_log_does_not_tell_is_not_zero():
    def totals(**changes):
        service = read(Answer, answer(worker(hours=hours(), **changes))).services[0]
        return [service.total(column) for column in range(4)]

    assert totals(started=0) == [0, 0, 0, 0]
    assert totals(started=5) == [None, None, None, 0]
    assert totals(log_level="warning") == [None, None, None, 0]
    assert totals(log_level="error") == [None] * 4
    assert totals(kind="beat") == [None] * 4


def test_an_answer_is_the_same_after_json():
    assert read(Answer, json.loads(json.dumps(answer()))).window == tuple(WINDOW)
