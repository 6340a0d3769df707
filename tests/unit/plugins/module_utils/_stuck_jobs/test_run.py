"""Whole runs of the stuck-job engine: actions, given ids, other processes, errors, timestamps and reports."""

# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

import fcntl
import json
import re
import sqlite3
import stat
import threading
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    StuckJobsError,
    clean_up,
    engine_of,
    engine_of_record,
    read_database,
    undo,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.change import show
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite.times import parse_time
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.plan import Plan
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.record import Record
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.report import metrics
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.times import parse_zone
from clean_ups import Database, SQLite
from hypothesis import given, settings
from hypothesis import strategies as st
from other_process import other_process

CELERY = {"app": "shop", "directory": "/srv/shop", "python": "/srv/shop/venv/bin/python"}
NOW = datetime(2026, 1, 18, 12, tzinfo=timezone.utc).timestamp()
HOUR = 3600


def iso(age: float) -> str:
    return datetime.fromtimestamp(NOW - age, timezone.utc).isoformat()


def slideshow(database):
    """Fills a database as the slideshow does."""
    database.sql(
        """
        CREATE TABLE batches (id TEXT PRIMARY KEY, status TEXT, updated_at {time}, error TEXT);
        CREATE TABLE links (id {serial} PRIMARY KEY, batch_id TEXT REFERENCES batches, status TEXT, data {bytes});
    """.format(**database.words)
    )
    for key, status, age in (("old", "processing", HOUR), ("young", "processing", 60), ("done", "completed", HOUR)):
        database.sql(f"INSERT INTO batches VALUES ('{key}', '{status}', '{iso(age)}', NULL)")
        for state in ("processing", "completed", "pending"):
            data = database.bytes(b"\0\xff")
            database.sql(f"INSERT INTO links (batch_id, status, data) VALUES ('{key}', '{state}', {data})")
    return database


@pytest.fixture
def db(any_database):
    return slideshow(any_database)


@pytest.fixture(params=["wal", "delete"])
def path(request, tmp_path):
    """The same in SQLite, in either journal mode."""
    return slideshow(SQLite(tmp_path, request.param)).path


def options(db, /, **more):
    """Of a database, or of a file of SQLite's."""
    login, records = (
        (db.login, db.records) if isinstance(db, Database) else ({"path": str(db)}, Path(db).parent / "records")
    )
    return {
        "name": "batches",
        **login,
        "table": "batches",
        "children": [{"table": "links", "foreign_key": "batch_id"}],
        "record_directory": str(records),
        **more,
    }


def counted(action, **tables):
    return {table: {action: count} for table, count in tables.items()}


def told(report):
    return [row.as_data() for row in report.rows]


def run(path, /, dry_run=False, **more):
    (report,) = clean_up(engine_of, [read_database(options(path, **more))], dry_run=dry_run, now=NOW)
    return report


def dump(path):
    with closing(sqlite3.connect(path)) as db:
        return "\n".join(db.iterdump())


def rows(path, sql):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(sql).fetchall()


# Actions


@pytest.mark.parametrize(("action", "status"), [("reset", "pending"), ("fail", "failed")])
def test_only_old_stuck_jobs_change_with_their_stuck_children(db, action, status):
    report = run(db, action=action, error_column="error", error_message="gone")

    assert report.counts == counted(action, batches=1, links=1)
    error = "gone" if action == "fail" else None
    assert db.sql("SELECT id, status, error FROM batches ORDER BY id") == [
        ("done", "completed", None),
        ("old", status, error),
        ("young", "processing", None),
    ]
    states = [state for (state,) in db.sql("SELECT status FROM links ORDER BY batch_id, id")]
    others = ["processing", "completed", "pending"]
    assert states == [*others, status, "completed", "pending", *others]
    assert not run(db, action=action).rows, "a second run finds nothing"


def test_delete_removes_all_children_and_undo_restores_every_byte(db):
    before = db.dump()
    report = run(db, action="delete")

    assert report.counts == counted("delete", batches=1, links=3)
    assert db.sql("SELECT id FROM batches ORDER BY id") == [("done",), ("young",)]
    assert stat.S_IMODE(Path(report.record).stat().st_mode) == 0o600
    assert report.record in report.sentence()
    assert (
        undo(engine_of_record, report.record, dry_run=True).sentence
        == f"batches: 4 rows would be restored in {db.where}."
    )
    assert db.dump() != before
    assert undo(engine_of_record, report.record).sentence == f"batches: 4 rows restored in {db.where}."
    assert db.dump() == before
    assert (
        undo(engine_of_record, report.record).sentence
        == f"batches: 0 rows restored in {db.where}; 1 job left alone, as changed since."
    )


@pytest.mark.parametrize("action", ["reset", "fail"])
def test_undo_restores_only_jobs_that_are_as_the_run_left_them(db, action):
    before = db.dump()
    report = run(db, action=action, error_column="error")
    assert undo(engine_of_record, report.record).sentence == f"batches: 2 rows restored in {db.where}."
    assert db.dump() == before

    report = run(db, action=action, error_column="error")
    db.sql("UPDATE batches SET status = 'completed' WHERE id = 'old'")
    assert (
        undo(engine_of_record, report.record).sentence
        == f"batches: 0 rows restored in {db.where}; 1 job left alone, as changed since."
    )
    assert db.sql("SELECT status FROM batches WHERE id = 'old'") == [("completed",)]


def test_a_dry_run_reports_the_same_plan_and_changes_no_file(path):
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    planned = run(path, action="delete", dry_run=True)

    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before
    assert planned.sentence() == (
        "batches: 1 in batches would be deleted and 3 in links would be deleted; the oldest was stuck for 1 h 0 min."
    )
    assert told(planned) == told(run(path, action="delete"))


def test_a_dry_run_reads_what_a_writer_has_committed_to_the_wal(path):
    with other_process(path) as writer:
        writer.execute(f"UPDATE batches SET updated_at = '{iso(2 * HOUR)}' WHERE id = 'young'")
        assert [row.id for row in run(path, children=[], dry_run=True).rows] == ["old", "young"]


def test_a_delete_leaves_no_orphans_in_tables_that_no_option_names(db):
    report = run(db, action="delete", children=[])

    assert not report.rows
    assert "rows of links refer to it by batch_id" in report.skipped[0].why
    assert run(db, action="reset", children=[]).counts == counted("reset", batches=1)


# Given ids


def test_a_given_job_may_be_young_unless_respect_age_is_set(db):
    asked = run(db, jobs=["you"], respect_age=True)
    assert not asked.rows
    assert asked.skipped[0].why == "processing for only 1 min"
    assert [row.id for row in run(db, jobs=["you"], children=[]).rows] == ["young"]


def test_a_given_job_has_to_be_stuck_and_an_unknown_one_is_reported(db):
    report = run(db, jobs=["done", "nobody", "100%", "ol_"])
    assert not report.rows
    assert report.unknown == ["nobody", "100%", "ol_"]
    assert report.skipped[0].why == "it is completed, which is not stuck"


def test_an_ambiguous_prefix_is_an_error_but_an_exact_id_is_not(db):
    db.sql("INSERT INTO batches VALUES ('old-2', 'processing', NULL, NULL)")
    assert "'ol' is the beginning of several ids: old, old-2. Use a longer one." in run(db, jobs=["ol"]).error
    assert [row.id for row in run(db, jobs=["old"], children=[], dry_run=True).rows] == ["old"]


@pytest.mark.parametrize(
    ("kind", "ids", "job", "found"),
    [
        ("INTEGER", [7, 70], "7", [7]),
        ("INTEGER", [70], "7", []),
        ("BLOB", [b"\x77\xcf", b"\x77\xd0"], "77c", [b"\x77\xcf"]),
        ("TEXT", ["a'b\"%", "x"], "a'b\"", ["a'b\"%"]),
    ],
)
def test_ids_of_every_kind(tmp_path, kind, ids, job, found):
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"CREATE TABLE batches (id {kind} PRIMARY KEY, status, updated_at) WITHOUT ROWID")
        db.executemany("INSERT INTO batches VALUES (?, 'processing', 'x')", [(key,) for key in ids])
        db.commit()
    report = run(path, jobs=[job], children=[])
    assert [row.id for row in report.rows] == [show((key,)) for key in found]
    assert rows(path, "SELECT id FROM batches WHERE status = 'pending'") == [(key,) for key in found]


# Other processes


@pytest.mark.parametrize("now", [None, NOW])
def test_a_job_that_begins_during_a_run_is_young_and_not_in_the_future(db, monkeypatch, now):
    def pages(plan):
        time.sleep(0.05)  # the run has taken so long when it reads these
        for key, later in (("new", 0.04), ("wrong", HOUR)):
            at = db.time(plan._clock.begun + later)
            db.sql(f"INSERT INTO batches VALUES ('{key}', 'processing', {at}, NULL)")
        return original(plan)

    original = Plan.pages
    monkeypatch.setattr(Plan, "pages", pages)
    (report,) = clean_up(engine_of, [read_database(options(db, threshold=0, children=[]))], now=now)
    assert [note.id for note in report.skipped] == ["wrong"]
    assert "in the future" in report.skipped[0].why
    assert db.sql("SELECT id FROM batches WHERE status = 'processing' ORDER BY id") == [("new",), ("wrong",)]


def between_plan_and_act(monkeypatch, db, sql):
    def intend(record, batch):
        original(record, batch)
        db.sql_without_foreign_keys(sql)

    original = Record.intend
    monkeypatch.setattr(Record, "intend", intend)


@pytest.mark.parametrize("action", ["reset", "fail", "delete"])
@pytest.mark.parametrize(
    "moved",
    [
        "UPDATE batches SET status = 'completed' WHERE id = 'old'",
        "UPDATE batches SET updated_at = '2026-01-18T12:00:00' WHERE id = 'old'",
        "UPDATE batches SET updated_at = NULL WHERE id = 'old'",
        "DELETE FROM batches WHERE id = 'old'",
    ],
)
def test_a_job_that_moves_on_after_the_plan_is_left_alone(db, monkeypatch, action, moved):
    between_plan_and_act(monkeypatch, db, moved)
    report = run(db, action=action)

    assert not report.changed
    assert not report.error
    assert [note.id for note in report.moved_on] == ["old"]
    assert "1 moved on" in report.sentence()
    assert not report.record
    assert not list(db.records.glob("*/*.jsonl*"))
    assert db.sql("SELECT count(*) FROM links") == [(9,)]
    assert db.sql("SELECT count(*) FROM links WHERE status = 'processing'") == [(3,)]


@pytest.mark.parametrize("action", ["reset", "delete"])
def test_a_job_whose_family_grows_after_the_plan_is_left_alone_as_a_whole(db, monkeypatch, action):
    with monkeypatch.context() as patch:
        between_plan_and_act(patch, db, "INSERT INTO links (batch_id, status) VALUES ('old', 'processing')")
        report = run(db, action=action)
    assert not report.changed
    assert [note.id for note in report.moved_on] == ["old"]
    assert run(db, action=action).counts == counted(action, batches=1, links=2 if action == "reset" else 4)


def test_a_database_that_stays_busy_is_an_error_and_unchanged(path):
    with other_process(path) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE batches SET error = 'x' WHERE id = 'done'")
        report = run(path, busy_timeout=0.1, action="delete")
        other.execute("COMMIT")
    assert "another process held the database for more than 0.1 s." in report.error
    assert report.sentence().endswith("Nothing was changed.")
    assert rows(path, "SELECT status FROM batches WHERE id = 'old'") == [("processing",)]
    assert not list((path.parent / "records").glob("*/*.jsonl*"))


def test_a_writer_that_finishes_in_time_is_waited_for(path):
    with other_process(path) as other:
        other.execute("BEGIN IMMEDIATE")
        other.begin("COMMIT", after=0.3)
        report = run(path, busy_timeout=10)
    assert report.counts == counted("reset", batches=1, links=1)


def test_a_job_that_sqlite_refuses_is_left_alone_with_its_children_and_reported(path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TRIGGER no BEFORE DELETE ON links BEGIN SELECT raise(ABORT, 'links stay'); END")
        db.commit()
    before = dump(path)
    report = run(path, action="delete")
    assert [(note.id, note.why) for note in report.skipped] == [("old", "SQLite refused it: links stay")]
    assert dump(path) == before
    assert not list((path.parent / "records").glob("*/*.jsonl*"))


# Errors


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"table": "batchs"}, "there is no table 'batchs'. Did you mean 'batches'?"),
        ({"time_column": "update_at"}, "has no column 'update_at'. Did you mean 'updated_at'?"),
        ({"time_column": "xyz"}, "There are: error, id, status, updated_at."),
        ({"children": [{"table": "links", "foreign_key": "batch"}]}, "foreign_key: table links has no column 'batch'."),
        ({"id_column": "status"}, "batches.status is not unique. Set one of: id."),
    ],
)
def test_an_error_names_what_is_available(db, mistake, message):
    report = run(db, **mistake)
    assert message in report.error
    assert report.sentence().startswith(report.error)


def test_a_view_is_an_error_and_a_missing_database_is_never_created(path, tmp_path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE VIEW seen AS SELECT * FROM batches")
        db.commit()
    assert "seen is a view. Set the table behind it." in run(path, table="seen").error
    run(tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()
    (tmp_path / "text.db").write_text("this is no database, but it is long enough to be taken for one " * 20)
    assert "file is not a database" in run(tmp_path / "text.db").error


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"treshold": "30m"}, "there is no option `treshold`. Did you mean 'threshold'?"),
        ({"threshold": "soon"}, "threshold: 'soon' is not a duration"),
        ({"busy_timeout": "soon"}, "busy_timeout: 'soon' is not a duration"),
        ({"time_limit": "soon"}, "time_limit: 'soon' is not a duration"),
        ({"time_limit": 0}, "time_limit is 0. Set a duration such as 10min."),
        ({"memory_limit": "much"}, "memory_limit: 'much' is not a size"),
        ({"memory_limit": "1M"}, "memory_limit 1M is too little. Set 64M or more."),
        ({"action": "kill"}, "action 'kill' is not one of reset, fail, delete"),
        ({"path": "jobs.db"}, "is not an absolute path"),
        ({"name": "a/b"}, "name 'a/b' is not valid"),
        ({"table": None}, "`table` is required"),
        ({"jobs": [""]}, "an empty id"),
        ({"stuck_statuses": []}, "is empty"),
        ({"reset_to": "processing"}, "reset_to of batches is itself one of its stuck_statuses"),
        ({"children": [{"table": "links"}]}, "`foreign_key` is required"),
        (
            {"children": [{"table": "links", "foreign_key": ["a", "b"]}]},
            "foreign_key of links needs a column for each of",
        ),
        (
            {"error_message": "{name} died"},
            "error_message of batches: {name} is not one of {id}, {status}, {age}, {attempts}",
        ),
        ({"error_message": "{id.__class__}"}, "error_message of batches"),
        ({"error_message": "{"}, "Write {{ and }} for braces"),
        ({"error_mode": "add"}, "error_mode 'add' of batches is not one of replace, append, json"),
        ({"thresholds": {"mail": "soon"}}, "thresholds: mail: 'soon' is not a duration"),
        ({"time_zone": "Europe/Atlantis"}, "time_zone 'Europe/Atlantis' is not a time zone of this host"),
        ({"max_attempts": 3}, "max_attempts needs attempts_column"),
        ({"requeue": {"task": "t"}}, "requeue needs celery"),
        *[
            ({"celery": CELERY, "requeue": {"task": "t", **requeue}}, message)
            for requeue, message in (
                ({"countdown": "soon"}, "requeue: countdown: 'soon' is not a duration"),
                ({"countdown": [1, 2, 3]}, "countdown has more than two durations: 1 s, 2 s, 3 s"),
                ({"countdown": ["5min", "10s"]}, "countdown begins with the longer duration: 5 min, 10 s"),
                ({"countdown": "20min"}, "countdown 20 min is longer than countdown_max 15 min"),
                ({"countdown_max": "2h"}, "countdown_max 2 h 0 min is too long"),
                ({"revoke": True}, "revoke needs celery's task_id_column"),
            )
        ],
        ({"reset_set": {"status": "new"}}, "reset_set of batches sets status, which is its status_column"),
        (
            {"attempts_column": "tries", "reset_set": {"tries": 0}},
            "reset_set of batches sets tries, which is its attempts_column and is set anyway",
        ),
        (
            {
                "celery": {**CELERY, "task_id_column": "task"},
                "requeue": {"task": "t"},
                "reset_set": {"task": None},
            },
            "reset_set of batches sets task, which is its task_id_column",
        ),
        ({"celery": {"app": "shop"}}, "celery: `directory` is required"),
        ({"celery": {"app": "a", "directory": "/", "python": "/p", "unreachable": "go"}}, "not one of abort, ignore"),
        ({"children": [{"table": "batches", "foreign_key": "x"}]}, "children: table batches is used twice"),
        ({"children": [{"table": "links", "foreign_key": key} for key in "ab"]}, "table links is used twice"),
        (
            {"children": [{"table": "links", "foreign_key": "a", "status_column": "", "error_column": "error"}]},
            "error_column of links needs its status_column",
        ),
        ({"reset_set": {"tries": 2**63}}, f"reset_set: tries of batches: {2**63} does not fit into 64 bits"),
        ({"fail_set": {"tries": -(2**63) - 1}}, "fail_set: tries of batches: -9223372036854775809 does not fit"),
        ({"reset_to": 2**64}, "reset_to of batches"),
        ({"stuck_statuses": [2**64]}, "stuck_statuses of batches"),
        ({"stuck_statuses": ["processing", None]}, "stuck_statuses of batches is empty or contains null"),
        ({"reset_set": {"error": {}}}, "reset_set: error of batches: {} is not a value for a column"),
        ({"status_column": ""}, "`status_column` is required"),
        ({"time_column": ""}, "`time_column` is required"),
        ({"children": [{"table": "links", "foreign_kee": "x"}]}, "Did you mean 'foreign_key'?"),
    ],
)
def test_errors_in_options_are_found_before_any_database_is_opened(mistake, message):
    with pytest.raises(StuckJobsError) as caught:
        read_database(options("/nowhere/jobs.db", **mistake))
    assert message in str(caught.value)


# Time


@pytest.mark.parametrize(
    ("threshold", "seconds"), [("30m", 1800), (30, 30), ("90s", 90), ("1h 30min", 5400), ("1d", 86400), ("1w", 604800)]
)
@pytest.mark.parametrize("option", ["threshold", "thresholds"])
def test_a_threshold_is_a_duration_and_a_bare_number_is_seconds(path, option, threshold, seconds):
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE batches SET updated_at = ? WHERE id = 'old'", (iso(seconds - 1),))
        db.execute("UPDATE batches SET updated_at = ? WHERE id = 'young'", (iso(seconds + 1),))
        db.commit()
    threshold = {"processing": threshold} if option == "thresholds" else threshold
    assert [row["id"] for row in told(run(path, dry_run=True, **{option: threshold}))][:1] == ["young"]


def test_timeouts_are_durations_and_a_bare_number_is_seconds():
    database = read_database(options("/nowhere/jobs.db", busy_timeout="1min 30s", celery={**CELERY, "timeout": 3}))
    assert (database.busy_timeout, database.celery.timeout) == (90, 3)


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-18T12:00:00Z",
        "2026-01-18T12:00:00+00:00",
        "2026-01-18 12:00:00",
        "2026-01-18 12:00",
        "2026-01-18T13:30:00.000+0130",
        "2026-01-18 11:00:00-01",
        " 2026-01-18t12:00:00,000z ",
        "2026-01-18 12:00:00 UTC",
        "2026-01-18 12:00:00 GMT",
        "2026/01/18 12:00:00",
        "2026-01-18 12:00:00 +0000 UTC",
        "2026-01-18 05:00:00.000000001 -0700 PDT m=+0.490123",
        "2026-01-18 17:45:00 +0545 +0545 m=+12.014533293",
        "2026-01-18T13:00:00.000+01:00[Europe/Berlin]",
        "2026-01-18T12:00Z[UTC]",
        "Sun, 18 Jan 2026 12:00:00 GMT",
        "Sun, 18 Jan 2026 13:30:00 +0130",
        int(NOW),
        NOW,
        str(int(NOW)),
        int(NOW * 1e3),
        str(int(NOW * 1e6)),
        f"{NOW * 1e3:.3f}",
        int(NOW) * 10**9,
        str(int(NOW) * 10**9),
        2461059.0,
    ],
)
def test_a_time_is_parsed_in_every_known_format(value):
    assert parse_time(value) == NOW


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "soon", b"2026-01-18 12:00:00", float("nan"), float("inf"), 0, -1, 2461059),
        *("2026-01-18", "20260118T120000Z", "2026-13-01 00:00:00", "2026-01-18 24:00:00", "202601181030"),
        *(
            "2026-01-18 12:00:00 PST",
            "2026-01-18 12:00:00 UTC+0100",
            "2026-01-18 12:00:00+00 BC",
            "2026-01/18 12:00:00",
        ),
        *("0001-01-01 00:00:00 +0000 UTC", "2026-01-18 12:00:00 m=+0.1 UTC", "18/01/2026 12:00:00", "01/18/2026 12:00"),
        *("Sun, 18 Jan 2026 12:00:00 CET", "Sun, 48 Jan 2026 12:00:00 GMT", "Sun, 18 Jan 2026 12:00:00 -0000"),
        *(20260118, 202601181030, 20260118103000, 639068736545290000),
    ],
)
def test_an_ambiguous_or_invalid_time_is_none(value):
    assert parse_time(value) is None


def test_a_time_without_an_offset_is_in_the_zone_and_a_repeated_hour_is_the_later_one():
    berlin = parse_zone("Europe/Berlin")
    assert parse_time("2026-01-18 13:00:00", berlin) == NOW
    assert parse_time("2026-01-18 12:00:00Z", berlin) == NOW
    assert parse_time("2026-10-25 02:30:00", berlin) == parse_time("2026-10-25 01:30:00Z")


@given(st.datetimes(datetime(2002, 1, 1), datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_parse_time_agrees_with_python(moment, minutes):
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    for text in (aware.isoformat(), aware.isoformat(" "), str(aware.timestamp())[:10]):
        assert parse_time(text) == pytest.approx(aware.timestamp(), abs=1)


def add(path, table, **columns):
    """Adds columns to a table of two, each with the values of batches old and young, or of its rows 1 and 2."""
    with closing(sqlite3.connect(path)) as db:
        for column, values in columns.items():
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
            for number, value in enumerate(values):
                key = ("old", "young")[number] if table == "batches" else number + 1
                db.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (value, key))
        db.commit()


@pytest.mark.parametrize(
    ("beat", "skipped"),
    [
        (None, None),
        (iso(HOUR), None),
        (iso(60), ""),
        (iso(-HOUR), "beat is '2026-01-18T13:00:00+00:00', which is in the future"),
        ("soon", "beat is 'soon', which is not a known time format"),
    ],
)
def test_a_heartbeat_has_to_be_old_too(path, beat, skipped):
    add(path, "batches", beat=[beat])
    report = run(path, children=[], heartbeat_column="beat")
    assert [row.why for row in report.rows] == (["processing for 1 h 0 min"] if skipped is None else [])
    assert [note.why for note in report.skipped] == ([skipped] if skipped else [])


def test_a_given_job_with_a_recent_heartbeat_is_told(path):
    add(path, "batches", beat=[iso(60)])
    report = run(path, children=[], heartbeat_column="beat", jobs=["old"], respect_age=True)
    assert [note.why for note in report.skipped] == ["beat is only 1 min old"]
    assert run(path, children=[], heartbeat_column="beat", jobs=["old"]).changed


def test_a_job_whose_worker_gives_a_sign_of_life_after_the_plan_is_left_alone(path, monkeypatch):
    add(path, "batches", beat=[iso(HOUR)])
    between_plan_and_act(monkeypatch, SQLite(path.parent), f"UPDATE batches SET beat = '{iso(0)}' WHERE id = 'old'")
    report = run(path, heartbeat_column="beat")
    assert (report.changed, [note.id for note in report.moved_on]) == (False, ["old"])


def test_now_is_the_time_of_the_run_as_the_job_writes_times(path):
    add(path, "batches", at=[NOW - HOUR], took=["x"])
    add(path, "links", at=["x"])
    links = {"table": "links", "foreign_key": "batch_id", "reset_set": {"at": "{now}"}}
    before = dump(path)
    report = run(path, children=[links], reset_set={"updated_at": "{now}", "at": "{now}", "took": "at {now}"})
    assert rows(path, "SELECT updated_at, at, took FROM batches WHERE id = 'old'") == [(iso(0), iso(0), "at {now}")]
    assert rows(path, "SELECT at FROM links WHERE id = 1") == [(iso(0),)]
    assert undo(engine_of_record, report.record).back == 2
    assert dump(path) == before


@pytest.mark.parametrize(
    ("fallback", "written"), [("2026-01-01T00:00:00Z", "2026-01-18T12:00:00Z"), ("x", "2026-01-18 12:00:00+00:00")]
)
def test_now_has_the_form_of_the_fallback_if_there_is_no_other_time(path, fallback, written):
    add(path, "batches", made=[fallback])
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE batches SET updated_at = NULL")
        db.commit()
    run(path, children=[], jobs=["old"], fallback_time_column="made", reset_set={"updated_at": "{now}"})
    assert rows(path, "SELECT updated_at FROM batches WHERE id = 'old'") == [(written,)]


# A history of errors


def test_errors_are_appended_to_a_json_list_of_the_job_and_of_its_children(path):
    add(path, "batches", errors=['[{"error": "first"}]'], tries=[2])
    add(path, "links", errors=[None])
    history = {"error_column": "errors", "error_mode": "json", "error_message": "stuck for {age}"}
    links = {"table": "links", "foreign_key": "batch_id", **history}
    before = dump(path)
    report = run(path, action="fail", attempts_column="tries", children=[links], **history)
    entry = {"at": "2026-01-18T12:00:00Z", "error": "stuck for 1 h 0 min"}
    ((of_job,),) = rows(path, "SELECT errors FROM batches WHERE id = 'old'")
    assert json.loads(of_job) == [{"error": "first"}, {**entry, "attempts": 2}]
    ((of_link,),) = rows(path, "SELECT errors FROM links WHERE id = 1")
    assert json.loads(of_link) == [entry]
    assert undo(engine_of_record, report.record).back == 2
    assert dump(path) == before


@pytest.mark.parametrize("table", ["batches", "links"])
def test_a_job_whose_history_is_no_list_is_skipped_as_a_whole(path, table):
    add(path, "batches", errors=["boom" if table == "batches" else None])
    add(path, "links", errors=["boom" if table == "links" else None])
    history = {"error_column": "errors", "error_mode": "json"}
    links = {"table": "links", "foreign_key": "batch_id", **history}
    before = dump(path)
    report = run(path, action="fail", children=[links], **history)
    assert [(note.id, note.why) for note in report.skipped] == [
        ("old", f"{table}.errors is 'boom', which is not a JSON list")
    ]
    assert dump(path) == before


# Reports


def test_metrics_are_in_the_format_of_prometheus(path):
    report = run(path)
    text = metrics([report])
    assert 'stuck_jobs_rows{database="batches",table="links",action="reset"} 1\n' in text
    assert 'stuck_jobs_oldest_seconds{database="batches"} 3600\n' in text
    assert 'stuck_jobs_failed{database="batches"} 0\n' in text
    for line in text.splitlines():
        assert line.startswith("# ") or re.fullmatch(r'stuck_jobs_\w+\{\w+="[^"]*"(,\w+="[^"]*")*\} [\d.e+-]+', line)


# The whole, against a model

STATUSES = ("processing", "running", "pending", "completed", None)
AGES = st.one_of(st.none(), st.just("garbage"), st.integers(-5000, 5000))
JOBS = st.lists(st.tuples(st.sampled_from(STATUSES), AGES, st.integers(0, 2)), max_size=12)


def written(age, way):
    """An age (seconds before NOW) as an application would store it."""
    if not isinstance(age, int):
        return age
    moment = datetime.fromtimestamp(NOW - age, timezone.utc)
    return (moment.isoformat(), moment.strftime("%Y-%m-%d %H:%M:%S"), int(NOW - age) * 1000)[way]


def model(jobs, links, action, threshold):
    """The expected jobs and links, by a simple model."""
    after, gone = dict(jobs), set()
    for key, (status, age, way) in jobs.items():
        if status in ("processing", "running") and isinstance(age, int) and age >= threshold:
            after[key] = ({"reset": "pending", "fail": "failed"}.get(action), age, way)
            gone.add(key)
    left = {}
    for key, (parent, status) in links.items():
        if parent in gone and action == "delete":
            continue
        stuck = parent in gone and status in ("processing", "running")
        left[key] = (parent, {"reset": "pending", "fail": "failed"}[action] if stuck else status)
    return {key: job for key, job in after.items() if key not in gone or action != "delete"}, left


@settings(max_examples=40)
@given(
    jobs=JOBS,
    links=st.lists(st.tuples(st.integers(0, 11), st.sampled_from(STATUSES)), max_size=20),
    action=st.sampled_from(["reset", "fail", "delete"]),
    threshold=st.integers(0, 80),
    kind=st.sampled_from(["TEXT PRIMARY KEY", "INTEGER PRIMARY KEY", "BLOB UNIQUE"]),
    names=st.sampled_from([("jobs", "status"), ('odd "table"', "select"), ("Übersicht; --", "a b")]),
)
def test_random_databases_end_as_the_model_says(tmp_path_factory, jobs, links, action, threshold, kind, names):
    path = tmp_path_factory.mktemp("db") / "some jobs?#%.db"
    table, column = (name.replace('"', '""') for name in names)
    jobs, links = dict(enumerate(jobs)), dict(enumerate(links))
    make = {"T": "key-{:02}".format, "I": int, "B": lambda key: bytes([key])}[kind[0]]
    with closing(sqlite3.connect(path)) as db:
        db.execute(f'CREATE TABLE "{table}" (id {kind}, "{column}", at, other DEFAULT 1)')
        db.execute(f'CREATE TABLE links (id INTEGER PRIMARY KEY, "the job" REFERENCES "{table}"(id), status)')
        for key, (status, age, way) in jobs.items():
            row = (make(key), status, written(age, way))
            db.execute(f'INSERT INTO "{table}" (id, "{column}", at) VALUES (?, ?, ?)', row)
        db.executemany("INSERT INTO links VALUES (?, ?, ?)", [(key, make(job), to) for key, (job, to) in links.items()])
        db.commit()
    before = dump(path)
    asked = {
        "table": names[0],
        "status_column": names[1],
        "time_column": "at",
        "action": action,
        "threshold": f"{threshold}min",
    }
    asked["stuck_statuses"] = ["processing", "running"]
    asked["children"] = [{"table": "links", "foreign_key": "the job"}]

    planned = run(path, dry_run=True, **asked)
    assert dump(path) == before
    report = run(path, **asked)

    assert not report.error
    assert told(planned) == told(report)
    expected_jobs, expected_links = model(jobs, links, action, threshold * 60)
    assert rows(path, f'SELECT id, "{column}", at, other FROM "{table}" ORDER BY id') == [
        (make(key), status, written(age, way), 1) for key, (status, age, way) in sorted(expected_jobs.items())
    ]
    assert rows(path, "SELECT * FROM links ORDER BY id") == [
        (key, make(job), status) for key, (job, status) in sorted(expected_links.items())
    ]
    assert len(report.skipped) == sum(
        status in ("processing", "running") and not (isinstance(age, int) and age >= 0)
        for status, age, way in jobs.values()
    )
    if report.record:
        undo(engine_of_record, report.record)
        assert sorted(dump(path).splitlines()) == sorted(before.splitlines())
    json.dumps(report.as_data())


def test_another_run_is_waited_for_longer_than_a_locked_database(path):
    """It may be asking workers that do not answer."""
    lock = Path(run(path).record).parent / "batches.lock"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        release = threading.Timer(0.6, fcntl.flock, [held, fcntl.LOCK_UN])
        release.start()
        assert run(path, busy_timeout="0.1s").error == ""
        release.join()

        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another clean-up is still running after 0.1 s" in run(path, time_limit="0.2s").error
