"""What a process that works as a database's owner says is taken only if it is as ours would say it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import printable
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import Report, Row, read_database
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.change import Note
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.messages import LISTS, Forged, Told, take
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.report import metrics
from hypothesis import given
from hypothesis import strategies as st

RECORDS = Path("/var/lib/evenkeel/job_cleanup/shop")
DATABASE = read_database({"name": "jobs", "path": "/srv/shop/jobs.db", "table": "jobs", "jobs": ["a", "b"]})
ROW = Row("jobs", "7", "reset", "processing", "pending", "processing for 2 h", "processing", "pending", (10.0, 60.0))


def fresh(shown=3):
    return Report(DATABASE, False, shown)


def full():
    """A report with something in each of its parts."""
    return Report(
        **{"database": DATABASE, "dry_run": False, "shown": 3, "counts": {"jobs": {"reset": 1}}, "rows": [ROW]},
        **{
            "skipped": [Note("jobs", "8", "it is odd")],
            "skipped_count": 1,
            "moved_on": [Note("jobs", "9", "it moved")],
        },
        **{"moved_on_count": 1, "unknown": ["b"], "sent": 1, "oldest": 7200.0, "batches": 1, "locked": 0.1},
        **{"longest_lock": 0.1, "record": f"{RECORDS}/jobs-x.jsonl", "warnings": ["careful"], "error": "broken"},
    )


def sent(report):
    messages = []
    Told(report, lambda message: messages.append(json.loads(json.dumps(message)))).tell(is_complete=True)
    return messages


def test_a_report_arrives_as_it_was_sent():
    arrived = fresh()
    assert [take(message, arrived, RECORDS) for message in sent(full())] == [False] * 4 + [True]
    assert arrived == full()


def test_what_was_sent_before_is_not_sent_again():
    messages, report = [], full()
    told = Told(report, messages.append)
    told.tell()
    told.tell()
    assert [next(iter(message)) for message in messages] == ["rows", "skipped", "moved_on", "unknown", "state", "state"]


STATE = sent(full())[-1]["state"]


@pytest.mark.parametrize(
    "forged",
    [
        *(None, [], "state", 7, {}, {"state": None}, {"state": {}}, {"rows": []}, {"rows": [1] * 9}, {"other": 1}),
        {"rows": list(ROW), "skipped": ["a", "b", "c"]},
        {"rows": [*ROW[:2], "explode", *ROW[3:]]},
        {"rows": [*ROW[:3], ["processing"], *ROW[4:]]},
        *({"rows": [*ROW[:-1], each]} for each in (None, 10.0, [10.0], [-1.0, 10.0], ["a", "b"])),
        {"skipped": ["jobs", "7"]},
        {"unknown": 7},
        *({"state": {**STATE, **more}} for more in ({"extra": 1}, {"counts": {"passwd": {"reset": 1}}})),
        *(
            {"state": {**STATE, "counts": {"jobs": each}}}
            for each in ({"explode": 1}, {"reset": -1}, {"reset": True}, 7)
        ),
        *({"state": {**STATE, "counts": {"jobs": {"reset": each}}}} for each in (1.5, "1", 2**63, None)),
        *({"state": {**STATE, "oldest": each}} for each in (float("nan"), float("inf"), 10**400, -1, "1", True)),
        *({"state": {**STATE, "record": each}} for each in ("/tmp/evil.jsonl", f"{RECORDS}/../x", f"{RECORDS}/a b", 7)),
        {"state": {**STATE, "record": f"{RECORDS}/x\n"}},
        *({"state": {**STATE, "warnings": each}} for each in ("careful", [7], ["x"] * 99)),
        {"state": {**STATE, "error": None}},
    ],
)
def test_another_message_is_refused(forged):
    with pytest.raises(Forged):
        take(forged, fresh(), RECORDS)


@pytest.mark.parametrize("name", LISTS)
def test_no_more_elements_are_taken_than_were_asked_for(name):
    (message,) = [message for message in sent(full()) if name in message]
    report, most = fresh(shown=3), 2 if name == "unknown" else 3
    for _each in range(most):
        take(message, report, RECORDS)
    with pytest.raises(Forged):
        take(message, report, RECORDS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from([*LISTS, "state", *STATE]), inner),
    max_leaves=8,
)
ANY_STATE = st.fixed_dictionaries({name: st.just(value) | JSON for name, value in STATE.items()})
ANY_ROW = st.tuples(*(st.just(value) | st.text() | JSON for value in ROW)).map(list)
MESSAGES = JSON | st.fixed_dictionaries({"state": ANY_STATE}) | st.fixed_dictionaries({"rows": ANY_ROW})


@given(st.lists(MESSAGES, max_size=4))
def test_whatever_is_sent_what_is_shown_is_printable_and_valid(messages):
    report = fresh()
    for message in messages:
        try:
            take(message, report, RECORDS)
        except Forged:
            break
    shown = [report.sentence(), *metrics([report]).splitlines(), *(row.becomes for row in report.rows)]
    shown += [str(cell) for row in (*report.rows, *report.skipped) for cell in row]
    assert [text for text in shown if printable(text, None) != text] == []
    json.dumps(report.as_data())
