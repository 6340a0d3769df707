"""Waiting for the locks of another process."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite import connection as module
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite.connection import (
    LOOK,
    Connection,
)


@pytest.fixture
def other(tmp_path):
    """Another process's connection to a database with a rollback journal."""
    with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as db:
        db.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY)")
        yield db


@pytest.fixture
def ours(tmp_path, other):
    with closing(sqlite3.connect(tmp_path / "jobs.db", timeout=0, isolation_level=None, factory=Connection)) as db:
        db.patience = 30
        yield db


@pytest.fixture
def each_look(monkeypatch):
    """The seconds that were waited, by a clock that only waiting moves, and what another process does meanwhile."""

    class Time:
        waited, act = 0.0, staticmethod(lambda: None)

        def monotonic(self):
            return 1000 + self.waited

        def sleep(self, seconds):
            self.waited += seconds
            self.act()

    time = Time()
    monkeypatch.setattr(module, "time", time)
    return time


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "SELECT * FROM jobs", "INSERT INTO jobs VALUES (1)"])
def test_a_lock_is_waited_for_no_longer_than_patience(ours, other, each_look, statement):
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        ours.execute(statement)
    assert each_look.waited == pytest.approx(30, abs=2 * LOOK)
    assert not ours.in_transaction
    other.execute("COMMIT")
    ours.execute(statement)


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "SELECT * FROM jobs"])
def test_the_gap_of_a_process_that_nearly_always_commits_is_found(ours, other, each_look, statement):
    """It lets go of its lock for a millisecond in each fifty."""
    other.execute("BEGIN EXCLUSIVE")

    def act():
        gap = each_look.waited % 0.05 > 0.049
        if gap == other.in_transaction:
            other.execute("COMMIT" if gap else "BEGIN EXCLUSIVE")

    each_look.act = act
    ours.execute(statement)
    assert each_look.waited <= 0.05 + LOOK


def test_a_commit_that_waits_for_a_reader_keeps_what_was_written(ours, other, each_look):
    other.execute("INSERT INTO jobs VALUES (1), (2)")
    reader = other.execute("SELECT * FROM jobs")
    reader.fetchone()
    ours.execute("BEGIN IMMEDIATE")
    ours.execute("INSERT INTO jobs VALUES (3)")
    each_look.act = reader.close
    ours.execute("COMMIT")
    assert each_look.waited == LOOK
    assert other.execute("SELECT count(*) FROM jobs").fetchall() == [(3,)]


def test_the_data_version_shows_who_has_committed_or_is_committing_without_waiting(ours, other, each_look):
    before = ours.data_version()
    assert ours.data_version() == before
    other.execute("BEGIN EXCLUSIVE")
    assert ours.data_version() is None
    other.execute("INSERT INTO jobs VALUES (1)")
    other.execute("COMMIT")
    assert ours.data_version() not in (None, before)
    assert not each_look.waited


def test_no_other_error_is_waited_for(ours, each_look):
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        ours.execute("SELECT * FROM tasks")
    assert not each_look.waited
