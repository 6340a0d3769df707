"""What a run tells the journal."""

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.metrics import (
    STUCK_JOBS,
    STUCK_JOBS_FIELD,
    STUCK_JOBS_MESSAGE,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import journal
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import Report, read_database


@pytest.fixture
def sent(monkeypatch):
    entries = []
    monkeypatch.setattr(
        journal.journal, "send", lambda message, **fields: entries.append({"MESSAGE": message, **fields})
    )
    return entries


def test_a_run_is_told_with_its_metrics(sent, jobs):
    report = Report(read_database(jobs), dry_run=False, counts={"jobs": {"reset": 2}}, oldest=60.0)
    journal.tell_journal(report.sentence(), report)
    (entry,) = sent
    assert (entry["MESSAGE"], entry["MESSAGE_ID"], entry["PRIORITY"]) == (report.sentence(), STUCK_JOBS_MESSAGE, 5)
    told = json.loads(entry[STUCK_JOBS_FIELD])["jobs"]
    assert told["stuck_jobs_rows"] == [["jobs", "jobs", "reset", 2]]
    assert told["stuck_jobs_oldest_seconds"] == [["jobs", 60.0]]
    assert set(told) == {metric.name for metric in STUCK_JOBS}


def test_a_failed_run_is_an_error(sent, jobs):
    report = Report(read_database(jobs), dry_run=False, error="jobs: no.")
    journal.tell_journal(report.sentence(), report)
    assert sent[0]["PRIORITY"] == 3


def test_an_undo_has_no_metrics(sent):
    journal.tell_journal("Undone.")
    assert STUCK_JOBS_FIELD not in sent[0]
