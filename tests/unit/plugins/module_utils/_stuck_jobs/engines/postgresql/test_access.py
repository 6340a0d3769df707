"""Transactions that are interrupted, limits, settings, and values that no text of PostgreSQL's can be."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import StuckJobsError
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql import access as module
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql.driver import (
    Connection,
    ServerError,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql.tables import Tables

JOBS = """
CREATE TABLE jobs (id text PRIMARY KEY, status text, updated_at timestamptz DEFAULT '2026-01-18', note text);
INSERT INTO jobs SELECT i, 'processing' FROM generate_series(1, 5) AS i;
"""
COUNT = "SELECT count(*) FROM jobs WHERE status = 'pending'"


@pytest.fixture
def jobs(app):
    app.sql(JOBS)
    return app


@pytest.fixture
def access(jobs, driver):
    with jobs.api.engine_of(jobs.api.read_database(jobs.options())).connect(True, {}) as session:
        yield session._access


# Interrupts


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("is_committed", [True, False])
def test_an_interrupt_during_a_commit_leaves_a_record_that_undoes_it(jobs, monkeypatch, driver, is_committed):
    real = Connection.run

    def run(self, sql, values=None, expected=()):
        self.is_writing = "READ WRITE" in sql or (self.is_writing and sql != "ROLLBACK")
        if sql == "COMMIT" and self.is_writing:
            if is_committed:
                real(self, sql)
            raise KeyboardInterrupt
        return real(self, sql, values)

    monkeypatch.setattr(Connection, "is_writing", False, raising=False)
    monkeypatch.setattr(Connection, "run", run)
    with pytest.raises(KeyboardInterrupt):
        jobs.run()
    monkeypatch.setattr(Connection, "run", real)
    assert jobs.sql(COUNT) == [(5 if is_committed else 0,)]
    (record,) = jobs.records.rglob("*.jsonl")
    undone = jobs.api.undo(jobs.api.engine_of_record, str(record))
    assert (undone.back, undone.left) == ((5, 0) if is_committed else (0, 5))
    assert jobs.sql(COUNT) == [(0,)]


@pytest.fixture
def interruptible():
    """SIGINT interrupts, even if it was ignored when the tests began, as in what a shell runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_whether_a_commit_has_happened_is_unknown_after_a_signal(jobs, access):
    """psycopg2 waits for the server's answer, and psycopg 3 cancels the commit, or comes too late for that."""
    jobs.sql("""
        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER wait AFTER UPDATE ON jobs DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION wait();
    """)
    waits = "SELECT 1 FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event = 'advisory'"
    with jobs.connect() as other:
        other.execute("SELECT pg_advisory_lock(1)")

        def interrupt():
            while not jobs.sql(waits):
                time.sleep(0.01)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            other.execute("SELECT pg_advisory_unlock(1)")

        thread = threading.Thread(target=interrupt, daemon=True)
        access.begin()
        access.run("UPDATE public.jobs SET status = 'pending'")
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            access.commit()
        thread.join()
        assert access.roll_back() is False
    assert access.run("SELECT 1") == [(1,)]


def test_what_the_server_refused_to_commit_is_known_to_be_rolled_back(jobs, access):
    jobs.sql("ALTER TABLE jobs ADD FOREIGN KEY (note) REFERENCES jobs DEFERRABLE INITIALLY DEFERRED")
    access.begin()
    access.run("UPDATE public.jobs SET note = 'x'")
    with pytest.raises(module.Refused):
        access.commit()
    assert access.roll_back() is True


def test_a_transaction_that_fails_at_its_beginning_is_rolled_back(access):
    access._always = "SET LOCAL lock_timeout = nonsense"
    with pytest.raises(module.Refused, match="lock_timeout"):
        access.begin()
    access._always = "SET LOCAL lock_timeout = 1"
    assert access.run("SELECT 1") == [(1,)]


# Limits and settings


def test_a_limit_may_be_longer_than_postgresql_counts(jobs):
    report = jobs.run(time_limit="30d", busy_timeout="30d")
    assert not report.error
    assert report.counts == {"jobs": {"reset": 5}}


def test_a_temporary_table_or_type_hides_none_of_postgresqls_own(access):
    access.begin()
    access.run("CREATE TEMP TABLE pg_class (oid oid)")
    access.run("CREATE TYPE pg_temp.int4 AS ENUM ('ours')")
    assert access.run("SELECT count(*) > 100, '7'::int4 + 0 FROM pg_class") == [(True, 7)]
    access.roll_back()


def test_a_server_that_is_too_old_is_told_so_although_it_knows_no_setting_of_ours(jobs, monkeypatch):
    real = Connection.run

    def run(self, sql, values=None, expected=()):
        if "jit" in sql:
            raise ServerError('unrecognized configuration parameter "jit"', "42704", is_lost=False)
        return real(self, sql, values)

    monkeypatch.setattr(Connection, "run", run)
    monkeypatch.setattr(module, "OLDEST", 99)
    assert "the server is older than PostgreSQL 99. Upgrade it." in jobs.run().error


def test_a_table_that_was_created_meanwhile_is_no_riddle(jobs, access):
    tables = Tables(access)
    jobs.sql("CREATE TABLE strangers (job text REFERENCES jobs)")
    with pytest.raises(StuckJobsError, match="refers to jobs has just been created"):
        list(tables.referrers(tables.find("jobs")))


# Values


@pytest.mark.parametrize("text", ["a\udcff", "a\0"], ids=["half of a surrogate pair", "NUL"])
@pytest.mark.parametrize("is_job", [True, False])
def test_a_value_that_is_no_text_of_postgresqls_is_told(jobs, driver, text, is_job):
    report = jobs.run(**({"jobs": [text]} if is_job else {"reset_set": {"note": text}}))
    assert f"{text!r} can't be a text of PostgreSQL's, which is UTF-8 without NUL. Correct that" in report.error


def test_a_list_is_an_array(driver, access):
    texts = ["", "NULL", None, " a, b ", '{"c"}', r"\d\\", "\n\t", "\x85\u2028", "%s é"]
    assert access.run("SELECT %s::text[], %s::bigint[], %s::text[]", [texts, [1, None, -2], []]) == [
        (texts, [1, None, -2], [])
    ]


def test_a_password_that_is_not_utf_8_is_not_shown(jobs, driver):
    error = jobs.run(**{"login_password": "open sesame\udcff"}).error
    assert "no connection: a value of the login is not UTF-8, or has a NUL." in error
    assert "sesame" not in error
