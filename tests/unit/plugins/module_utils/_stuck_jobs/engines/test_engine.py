"""What every engine has to do (engines/base.py)."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timezone

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    StuckJobsError,
    engine_of,
    read_database,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.databases import ENGINES
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.base import Refused
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.plan import Plan
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.record import as_recorded
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.times import Clock

SCHEMA = """
CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT CHECK (status <> 'forbidden'), updated_at TEXT, note TEXT);
CREATE TABLE links (id INTEGER PRIMARY KEY, job INTEGER, status TEXT);
INSERT INTO jobs VALUES (1, 'processing', '2026-01-18 12:00:00', NULL), (2, 'completed', '2026-01-18 12:00:00', NULL),
    (3, 'processing', '2026-01-18 12:00:00', 'x');
INSERT INTO links VALUES (10, 1, 'processing'), (11, 1, 'completed'), (12, 3, 'processing');
"""


@pytest.fixture
def database(any_database):
    any_database.sql(SCHEMA)
    return any_database


@pytest.fixture
def opened(database):
    """The engine, an open session, and the plan of all that is stuck."""

    @contextmanager
    def opened(**more):
        links = {"table": "links", "foreign_key": ["job"]}
        engine = engine_of(read_database(database.options(children=[links], **more)))
        with engine.connect(True, {}) as session:
            plan = Plan(engine, session.rows(), Clock(), {}, lambda note: None)
            yield session, plan, [change for page in plan.pages() for change in page]

    return opened


def write(session, plan, changes):
    session.begin()
    done, refused = session.write(changes, plan.unharmed)
    session.commit()
    assert not session.roll_back(), "a commit leaves nothing to roll back"
    return [change.key for change in done], refused


def test_stuck_rows_are_read_in_the_order_of_their_keys(opened):
    with opened() as (_session, plan, changes):
        assert [change.key for change in changes] == [(1,), (3,)]
        assert [[child.key for child in change.children] for change in changes] == [[(10,)], [(12,)]]
        row, is_stuck = plan.rows.find("2")
        assert (plan.rows.key(row), is_stuck) == ((2,), False)
        assert plan.rows.find("4") is None


def test_only_whole_families_that_are_as_they_were_read_are_written(database, opened):
    with opened() as (session, plan, changes):
        database.sql("UPDATE links SET status = 'completed' WHERE id = 12")
        assert write(session, plan, changes) == ([(1,)], {})
    assert database.sql("SELECT status FROM jobs ORDER BY id") == [("pending",), ("completed",), ("processing",)]
    assert database.sql("SELECT status FROM links ORDER BY id") == [("pending",), ("completed",), ("completed",)]


def test_a_refused_job_stops_no_other(database, opened):
    with opened(reset_to="forbidden") as (session, plan, changes):
        done, refused = write(session, plan, changes)
        assert done == []
        assert set(refused) == {change.place for change in changes}
        assert all(refused.values()), "in the database's words"
    assert database.sql("SELECT count(*) FROM jobs WHERE status = 'processing'") == [(2,)]


@pytest.mark.parametrize("action", ["reset", "delete"])
def test_written_rows_can_be_restored(database, opened, action):
    before = database.dump()
    with opened(action=action) as (session, plan, changes):
        assert write(session, plan, changes)[0] == [(1,), (3,)]
        first, second = ([as_recorded(row) for row in change.flat()] for change in changes)
        session.begin()
        assert session.put_back_whole(first)
        assert not session.put_back_whole(first), "it is back already"
        assert all(session.put_back(row) for row in second)
        session.commit()
    assert database.dump() == before


def test_is_there_compares_the_values_of_a_row(opened):
    with opened() as (session, _plan, changes):
        row = as_recorded(changes[0])
        assert session.is_there(row, {"status": "processing", "note": None})
        assert not session.is_there(row, row.after)


def test_a_rolled_back_transaction_changes_nothing(database, opened):
    with opened() as (session, plan, changes):
        session.begin()
        session.write(changes, plan.unharmed)
        assert session.roll_back()
        assert not session.roll_back()
    assert database.sql("SELECT count(*) FROM jobs WHERE status = 'processing'") == [(2,)]


def test_a_row_is_not_restored_over_a_newer_one_with_its_unique_value(database, opened):
    with opened(action="delete") as (session, plan, changes):
        write(session, plan, changes[:1])
        row = as_recorded(changes[0])
        database.sql("UPDATE jobs SET status = 'pending' WHERE id = 3")
        session.begin()
        with pytest.raises(Refused):
            session.put_back(row._replace(before={**row.before, "status": "forbidden"}))
        session.roll_back()


def test_options_that_do_not_fit_the_schema_are_errors(opened):
    with (
        pytest.raises(StuckJobsError, match="status_column: table jobs has no column 'state'"),
        opened(status_column="state"),
    ):
        pass


def test_the_owner_is_that_of_the_database(database):
    engine = engine_of(read_database(database.options()))
    assert (engine.owner.uid, engine.owner.gid) == (os.geteuid(), os.getegid())
    assert engine.name


@pytest.mark.parametrize("value", ["2026-01-18 12:00:00", "2026-01-18T13:00:00+01:00", 1768737600])
@pytest.mark.parametrize("engine", ENGINES)
def test_times_are_parsed_as_applications_store_them(engine, value):
    assert engine.parse_time(value, timezone.utc) == 1768737600
    assert engine.parse_time("soon", timezone.utc) is None
