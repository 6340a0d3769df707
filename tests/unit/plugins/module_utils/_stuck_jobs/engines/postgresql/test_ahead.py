"""The next batch is made while the server writes the one before."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import pace, plan
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql import write
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.record import Record

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture
def jobs(app):
    app.sql("""
        CREATE TABLE jobs (id integer PRIMARY KEY, status text, updated_at timestamptz);
        INSERT INTO jobs SELECT i, 'processing', '2026-01-18' FROM generate_series(1, 6) AS i;
    """)
    return app


@pytest.fixture
def judged(monkeypatch):
    """The jobs that are judged while the server is busy: all that can be, in pairs."""
    monkeypatch.setattr(plan, "FEW", 2)
    monkeypatch.setattr(pace, "FIRST", 2)
    found, is_busy, judge = [], [], plan.Plan._judged

    def judged(self, rows):
        found.extend(row[0] for row in rows if is_busy)
        return judge(self, rows)

    def beside(call, meanwhile):
        is_busy.append(True)
        while meanwhile and meanwhile():
            pass
        is_busy.clear()
        return call()

    monkeypatch.setattr(plan.Plan, "_judged", judged)
    monkeypatch.setattr(write, "beside", beside)
    return found


def statuses(jobs):
    return [status for (status,) in jobs.sql("SELECT status FROM jobs ORDER BY id")]


def test_jobs_are_judged_while_those_before_them_are_written(jobs, judged):
    report = jobs.run()
    assert report.counts == {"jobs": {"reset": 6}}
    assert judged == [3, 4, 5, 6]
    assert statuses(jobs) == ["pending"] * 6
    assert jobs.undo(report).back == 6
    assert statuses(jobs) == ["processing"] * 6


def test_a_job_that_changes_after_it_was_judged_is_left_alone(jobs, judged, monkeypatch):
    intend = Record.intend

    def and_then_a_job_ends(record, batch):
        intend(record, batch)
        if 4 in judged:
            jobs.sql("UPDATE jobs SET status = 'completed' WHERE id = 4")

    monkeypatch.setattr(Record, "intend", and_then_a_job_ends)
    assert [note.id for note in jobs.run().moved_on] == ["4"]
    assert statuses(jobs) == ["pending"] * 3 + ["completed"] + ["pending"] * 2


def test_an_error_in_judging_the_next_jobs_leaves_those_that_are_being_written_complete(jobs, judged, monkeypatch):
    judge = plan.Plan._judge

    def fail_for_the_third(self, row):
        if row[0] == 3:
            assert judged == [3, 4]
            raise OSError("boom")
        return judge(self, row)

    monkeypatch.setattr(plan.Plan, "_judge", fail_for_the_third)
    report = jobs.run()
    assert "boom" in report.error
    assert report.counts == {"jobs": {"reset": 2}}
    assert statuses(jobs) == ["pending"] * 2 + ["processing"] * 4
    assert jobs.undo(report).back == 2


def test_children_are_read_when_it_is_their_turn(jobs, judged):
    jobs.sql("CREATE TABLE links (id integer PRIMARY KEY, job integer REFERENCES jobs, status text)")
    jobs.sql("INSERT INTO links SELECT id, id, 'processing' FROM jobs")
    report = jobs.run(children=[{"table": "links", "foreign_key": "job"}])
    assert report.counts == {"jobs": {"reset": 6}, "links": {"reset": 6}}
    assert not judged
