"""Jobs that do not count, such as soft-deleted ones: the option `only`."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import StuckJobsError
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.plan import Plan

pytestmark = pytest.mark.usefixtures("in_this_process")

OLD = "2026-01-18 12:00:00"
GONE = "2026-01-19 12:00:00"


@pytest.fixture
def database(any_database):
    any_database.sql(f"""
        CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT, updated_at TEXT,
            deleted_at TEXT, hidden BOOLEAN, kind INT);
        INSERT INTO jobs VALUES (1, 'processing', '{OLD}', NULL, false, 1),
            (2, 'processing', '{OLD}', '{GONE}', false, 2),
            (3, 'processing', '{OLD}', NULL, true, 3),
            (4, 'processing', '{OLD}', NULL, NULL, NULL),
            (5, 'completed', '{OLD}', NULL, false, 1);
    """)
    return any_database


@pytest.mark.parametrize(
    ("only", "found"),
    [
        ({"deleted_at": None}, {1, 3, 4}),
        ({"deleted_at": GONE}, {2}),
        ({"hidden": [False, None]}, {1, 2, 4}),
        ({"kind": [1, 3]}, {1, 3}),
        ({"kind": [2, None], "deleted_at": None}, {4}),
    ],
)
def test_only_jobs_with_these_values_count(database, only, found):
    assert {int(row.id) for row in database.run(dry_run=True, only=only).rows} == found
    given = database.run(jobs=[1, 2, 3, 4, 5], only=only)
    assert {int(row.id) for row in given.rows} == found
    assert {int(note.id) for note in given.skipped} == {1, 2, 3, 4, 5} - found
    assert {row[0] for row in database.rows() if row[1] == "pending"} == found


def test_an_index_of_the_status_makes_no_difference(database):
    database.sql("CREATE INDEX by_status ON jobs (status)")
    assert database.run(only={"deleted_at": None}).counts == {"jobs": {"reset": 3}}


def test_a_job_that_is_deleted_after_the_plan_is_left_alone(database, monkeypatch):
    pages = Plan.pages

    def then_delete(self):
        for page in pages(self):
            database.sql(f"UPDATE jobs SET deleted_at = '{GONE}' WHERE id = 3")
            yield page

    monkeypatch.setattr(Plan, "pages", then_delete)
    assert database.run(only={"deleted_at": None}).counts == {"jobs": {"reset": 2}}
    assert database.rows()[2][1] == "processing"


@pytest.mark.parametrize(
    ("only", "error"),
    [
        ({"deleted": None}, "has no column 'deleted'. Did you mean 'deleted_at'?"),
        ({"kind": []}, "only: kind has no values, so no job would count"),
        ({"kind": {"not": 1}}, "only: kind: {'not': 1} is not a value for a column"),
    ],
)
def test_what_can_not_be_compared_is_refused(database, only, error):
    try:
        said = database.run(only=only).error
    except StuckJobsError as refusal:
        said = str(refusal)
    assert error in said
