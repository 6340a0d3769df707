"""Other processes, triggers and constraints: whole families change or none, and nobody is waited for."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import record
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql.driver import (
    Connection,
    ServerError,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.plan import Plan

JOBS = """
CREATE TABLE jobs (id integer PRIMARY KEY, status text, updated_at timestamptz DEFAULT '2026-01-18',
    tries integer DEFAULT 0);
INSERT INTO jobs SELECT i, 'processing' FROM generate_series(1, 5) AS i;
"""
LINKS = """
CREATE TABLE links (id integer PRIMARY KEY, job integer REFERENCES jobs {}, status text);
INSERT INTO links SELECT id, id, 'processing' FROM jobs;
"""
DEFERRED = "DEFERRABLE INITIALLY DEFERRED"
WITH_LINKS = {"children": [{"table": "links", "foreign_key": "job"}]}


@pytest.fixture
def jobs(app):
    app.sql(JOBS)
    return app


def trigger(app, body, when="BEFORE UPDATE", table="jobs"):
    app.sql(f"""
        CREATE FUNCTION {table}_do() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
        CREATE TRIGGER {table}_do {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_do();
    """)


def notes(some):
    return {note.id: note.why for note in some}


def between_plan_and_act(monkeypatch, app, sql):
    """Another process does this as soon as the plan is made."""
    real = Plan.pages

    def pages(self):
        yield from list(real(self))
        app.sql(sql)

    monkeypatch.setattr(Plan, "pages", pages)


# Other processes


def test_a_row_that_another_process_holds_is_left_alone_at_once(jobs, driver):
    with jobs.connect() as other, other.transaction():
        other.execute("UPDATE jobs SET tries = 1 WHERE id IN (2, 3)")
        report = jobs.run(busy_timeout=600)
    assert sorted(notes(report.moved_on)) == ["2", "3"]
    assert report.counts == {"jobs": {"reset": 3}}


@pytest.mark.parametrize(("action", "is_done"), [("reset", True), ("delete", False)])
def test_who_adds_a_child_holds_its_parent_only_against_a_removal(jobs, action, is_done):
    jobs.sql(LINKS.format(""))
    with jobs.connect() as other, other.transaction():
        other.execute("INSERT INTO links VALUES (10, 2, 'new')")
        report = jobs.run(action=action, **WITH_LINKS)
    assert not report.error
    assert ("2" in notes(report.moved_on)) is not is_done


@pytest.mark.parametrize("action", ["reset", "delete"])
def test_a_job_that_has_just_ended_is_left_alone(jobs, monkeypatch, action):
    jobs.sql(LINKS.format("ON DELETE CASCADE"))
    between_plan_and_act(monkeypatch, jobs, "UPDATE jobs SET status = 'completed' WHERE id = 2")
    report = jobs.run(action=action, **WITH_LINKS)
    assert notes(report.moved_on).keys() == {"2"}
    assert jobs.sql("SELECT status FROM jobs WHERE id = 2") == [("completed",)]
    assert jobs.sql("SELECT status FROM links WHERE job = 2") == [("processing",)]


def test_no_child_that_was_added_meanwhile_is_deleted_by_a_cascade(jobs, monkeypatch):
    jobs.sql(LINKS.format("ON DELETE CASCADE"))
    between_plan_and_act(monkeypatch, jobs, "INSERT INTO links VALUES (10, 2, 'new')")
    report = jobs.run(action="delete", **WITH_LINKS)
    assert notes(report.moved_on).keys() == {"2"}
    assert jobs.sql("SELECT id FROM links ORDER BY id") == [(2,), (10,)]


def test_two_runs_at_once_change_each_job_once(jobs, tmp_path):
    jobs.sql("INSERT INTO jobs SELECT i, 'processing' FROM generate_series(6, 1000) AS i")
    reports = {}

    def go(name):
        reports[name] = jobs.run(attempts_column="tries", record_directory=str(tmp_path / name))

    threads = [threading.Thread(target=go, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(report.error for report in reports.values())
    assert sum(report.count for report in reports.values()) == 1000
    assert jobs.sql("SELECT status, tries, count(*) FROM jobs GROUP BY 1, 2") == [("pending", 1, 1000)]


def test_a_locked_table_is_waited_for_as_long_as_busy_timeout_allows(jobs):
    with jobs.connect() as other, other.transaction():
        other.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        report = jobs.run(busy_timeout=0.2)
    assert "another process held the table or a row for more than 0.2 s" in report.error
    assert report.error.endswith("raise busy_timeout.")
    assert time.monotonic() - begun < 60


@pytest.mark.usefixtures("in_this_process")
def test_what_was_committed_before_the_connection_was_lost_is_recorded(jobs, monkeypatch):
    jobs.sql("INSERT INTO jobs SELECT i, 'processing' FROM generate_series(6, 600) AS i")
    real = Plan.unharmed
    ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'evenkeel job_cleanup'"

    def unharmed(self, changes):
        if jobs.sql("SELECT count(*) FROM jobs WHERE status = 'pending'")[0][0] > 50:
            jobs.sql(ends)
        return real(self, changes)

    jobs.sql(LINKS.format(""))
    monkeypatch.setattr(Plan, "unharmed", unharmed)
    report = jobs.run(**WITH_LINKS)
    assert "the connection to the server was lost" in report.error
    ((done,),) = jobs.sql("SELECT count(*) FROM jobs WHERE status = 'pending'")
    assert report.counts["jobs"]["reset"] == done > 50
    assert jobs.undo(report).back == report.count
    assert jobs.sql("SELECT count(*) FROM jobs WHERE status = 'pending'") == [(0,)]


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("is_committed", [True, False])
def test_whether_a_commit_without_an_answer_has_happened_is_found_out_by_the_undo(jobs, monkeypatch, is_committed):
    real = Connection.run

    def run(self, sql, values=None, expected=()):
        if sql == "COMMIT" and self.is_writing:
            if is_committed:
                real(self, sql)
            self.close()
            raise ServerError("gone", "", is_lost=True)
        self.is_writing = "READ WRITE" in sql or (self.is_writing and sql != "COMMIT")
        return real(self, sql, values)

    monkeypatch.setattr(Connection, "is_writing", False, raising=False)
    monkeypatch.setattr(Connection, "run", run)
    report = jobs.run()
    assert "the connection to the server was lost: gone" in report.error
    monkeypatch.setattr(Connection, "run", real)
    assert jobs.sql("SELECT count(*) FROM jobs WHERE status = 'pending'") == [(5 if is_committed else 0,)]
    undone = jobs.undo(report)
    assert (undone.back, undone.left) == ((5, 0) if is_committed else (0, 5))
    assert jobs.sql("SELECT count(*) FROM jobs WHERE status = 'processing'") == [(5,)]


# Triggers and constraints


def refuse(jobs, code):
    raise_it = f"RAISE EXCEPTION 'not today' USING ERRCODE = '{code}'"
    trigger(jobs, f"IF OLD.id = 3 THEN {raise_it}; END IF; RETURN NEW;")


@pytest.mark.parametrize("code", ["P0001", "AC001", "42P01"])
@pytest.mark.parametrize("family", [{}, WITH_LINKS], ids=["alone", "with children"])
def test_a_trigger_that_refuses_keeps_only_its_own_job(jobs, driver, family, code):
    jobs.sql(LINKS.format(DEFERRED))
    refuse(jobs, code)
    report = jobs.run(**family)
    assert notes(report.skipped) == {"3": "PostgreSQL refused it: not today"}
    assert report.counts["jobs"] == {"reset": 4}


def test_a_trigger_whose_right_is_missing_keeps_only_its_own_job(jobs):
    refuse(jobs, "42501")
    report = jobs.run()
    remedy = "GRANT that right to the role, or set login_user to the tables' owner"
    assert notes(report.skipped) == {"3": f"PostgreSQL refused it: not today. {remedy}"}
    assert report.counts == {"jobs": {"reset": 4}}


@pytest.mark.parametrize("code", ["53100", "40001", "57014", "XX000"])
def test_an_error_of_the_server_itself_ends_the_run(jobs, code):
    refuse(jobs, code)
    report = jobs.run()
    assert "not today" in report.error
    assert jobs.sql("SELECT count(*) FROM jobs WHERE status = 'pending'") == [(0,)]
    assert not report.record


@pytest.mark.parametrize("family", [{}, WITH_LINKS], ids=["alone", "with children"])
def test_a_trigger_that_ignores_a_change_is_told(jobs, family):
    jobs.sql(LINKS.format(DEFERRED))
    trigger(jobs, "IF OLD.id = 3 THEN RETURN NULL; END IF; RETURN NEW;")
    report = jobs.run(**family)
    assert notes(report.skipped) == {"3": "PostgreSQL refused it: a trigger ignored the change"}
    assert report.counts["jobs"] == {"reset": 4}
    assert jobs.sql("SELECT status FROM links WHERE job = 3") == [("processing",)]


def test_a_trigger_that_ignores_a_removal_is_told(jobs):
    trigger(jobs, "IF OLD.id = 3 THEN RETURN NULL; END IF; RETURN OLD;", "BEFORE DELETE")
    report = jobs.run(action="delete")
    assert notes(report.skipped) == {"3": "PostgreSQL refused it: a trigger ignored the change"}
    assert jobs.sql("SELECT id FROM jobs") == [(3,)]


def test_a_null_is_no_text_where_the_role_has_array_nulls_off(jobs):
    jobs.sql("ALTER TABLE jobs ADD note text")
    before = jobs.rows()
    jobs.sql(f"ALTER ROLE app IN DATABASE {jobs.login['login_db']} SET array_nulls = off")
    report = jobs.run(reset_set={"note": "again"})
    assert report.counts == {"jobs": {"reset": 5}}
    assert jobs.undo(report).back == 5
    assert jobs.rows() == before
    with jobs.api.engine_of(jobs.api.read_database(jobs.options())).connect(True, {}) as session:
        access = session._access
        access.begin()
        access.use_settings(ours=False)
        assert access.run("SELECT %s::text[]", [["NULL", None]]) == [(["NULL", None],)]


def test_a_trigger_that_writes_other_columns_disturbs_neither_a_run_nor_its_undo(jobs):
    jobs.sql(LINKS.format(DEFERRED))
    trigger(jobs, "NEW.updated_at = now(); RETURN NEW;")
    trigger(jobs, "UPDATE jobs SET tries = tries + 1 WHERE id = NEW.job; RETURN NEW;", table="links")
    report = jobs.run(**WITH_LINKS)
    assert report.counts == {"jobs": {"reset": 5}, "links": {"reset": 5}}
    assert jobs.undo(report).back == 10


def test_a_trigger_has_the_settings_that_the_application_has(jobs):
    """Among them its search_path and its time zone."""
    database = jobs.login["login_db"]
    jobs.sql(f"""
        CREATE SCHEMA shop; CREATE TABLE shop.seen (zone text); ALTER TABLE jobs ADD at timestamp;
        ALTER ROLE app IN DATABASE {database} SET search_path = shop, public;
        ALTER ROLE app IN DATABASE {database} SET TimeZone = 'Asia/Tokyo';
    """)
    trigger(jobs, "INSERT INTO seen VALUES (current_setting('TimeZone')); NEW.at = now(); RETURN NEW;")
    report = jobs.run()
    assert report.counts == {"jobs": {"reset": 5}}
    is_near = "at - (now() AT TIME ZONE 'Asia/Tokyo') BETWEEN '-1 hour' AND '1 hour'"
    assert jobs.sql(f"SELECT DISTINCT zone, {is_near} FROM shop.seen, jobs") == [("Asia/Tokyo", True)]
    assert jobs.undo(report).back == 5


@pytest.mark.parametrize("action", ["reset", "delete"])
def test_a_trigger_has_them_too_when_a_row_is_put_back_whose_task_can_not_be_sent(jobs, action):
    before = jobs.rows()
    jobs.sql(f"""
        CREATE SCHEMA shop; CREATE TABLE shop.seen (job integer);
        ALTER ROLE app IN DATABASE {jobs.login["login_db"]} SET search_path = shop, public;
    """)
    trigger(jobs, "INSERT INTO seen VALUES (NEW.id); RETURN NEW;", "BEFORE INSERT OR UPDATE")
    report = jobs.run(action=action)
    with jobs.api.engine_of(jobs.api.read_database(jobs.options())).connect(True, {}) as session:
        session.begin()
        (batch,) = record.read(Path(report.record))[1]
        assert all(session.put_back(row) for job in batch.jobs for row in job)
        session.commit()
    assert jobs.rows() == before


def test_a_constraint_refuses_only_its_own_job(jobs):
    jobs.sql("ALTER TABLE jobs ADD CONSTRAINT never CHECK (NOT (id = 3 AND status = 'pending'))")
    report = jobs.run()
    assert list(notes(report.skipped)) == ["3"]
    assert 'violates check constraint "never"' in notes(report.skipped)["3"]
    assert report.counts == {"jobs": {"reset": 4}}


@pytest.mark.parametrize("how", ["", DEFERRED, "ON DELETE CASCADE", "ON DELETE SET NULL", "ON DELETE RESTRICT"])
def test_a_job_to_which_rows_of_another_table_refer_is_not_deleted(jobs, how):
    jobs.sql(f"CREATE TABLE strangers (id serial, job integer REFERENCES jobs {how})")
    jobs.sql("INSERT INTO strangers (job) VALUES (3), (NULL)")
    report = jobs.run(action="delete")
    assert notes(report.skipped) == {"3": "rows of strangers refer to it by job: add that table to the children"}
    assert jobs.sql("SELECT job FROM strangers ORDER BY id") == [(3,), (None,)]
    assert jobs.sql("SELECT id FROM jobs") == [(3,)]


def test_a_deferred_constraint_trigger_stops_only_its_own_job(jobs):
    jobs.sql("""
        CREATE FUNCTION check_it() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF OLD.id = 3 THEN RAISE EXCEPTION 'looked at later'; END IF; RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON jobs DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION check_it();
    """)
    report = jobs.run()
    assert notes(report.skipped) == {"3": "PostgreSQL refused it: looked at later"}
    assert report.counts == {"jobs": {"reset": 4}}


def test_rows_that_refer_to_each_other_are_deleted_and_restored(jobs):
    jobs.sql(LINKS.format(DEFERRED))
    jobs.sql(f"ALTER TABLE jobs ADD latest integer REFERENCES links {DEFERRED}; UPDATE jobs SET latest = id")
    before = jobs.rows(), jobs.rows("links")
    report = jobs.run(action="delete", **WITH_LINKS)
    assert report.counts == {"jobs": {"delete": 5}, "links": {"delete": 5}}
    assert jobs.undo(report).back == 10
    assert (jobs.rows(), jobs.rows("links")) == before


def test_a_page_of_jobs_that_can_not_be_changed_hides_no_later_one(jobs, monkeypatch):
    monkeypatch.setattr(
        "ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql.rows.PAGE", 2
    )
    trigger(jobs, "IF OLD.id < 5 THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW;")
    report = jobs.run()
    assert list(notes(report.skipped)) == ["1", "2", "3", "4"]
    assert report.counts == {"jobs": {"reset": 1}}


# Reading


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("action", ["reset", "delete"])
def test_a_page_ends_early_if_its_values_are_large(jobs, monkeypatch, action):
    rows = "ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql.rows"
    monkeypatch.setattr(f"{rows}.PAGE_BYTES", 2500)
    jobs.sql("ALTER TABLE jobs ADD error text, ADD more jsonb")
    jobs.sql("""UPDATE jobs SET error = repeat('x', 1000), more = '{"a": 1}'""")
    sizes = []
    real = Plan._judged
    monkeypatch.setattr(Plan, "_judged", lambda self, page: sizes.append(len(page)) or real(self, page))
    report = jobs.run(action=action, error_column="error")
    assert report.counts == {"jobs": {action: 5}}
    assert sizes == [3, 2]


def test_no_setting_outlives_its_transaction(jobs):
    """As a pooler gives the connection to the next one after each."""
    api = jobs.api
    engine = api.engine_of(api.read_database(jobs.options()))
    settings = "SELECT name, setting FROM pg_settings ORDER BY name"
    with engine.connect(True, {}) as session:
        connection = session._access._connection
        before = connection.run(settings)
        list(session.rows().stuck())
        session.begin()
        session.commit()
        assert connection.run(settings) == before
        assert connection.run("SELECT count(*) FROM pg_prepared_statements") == [(0,)]
