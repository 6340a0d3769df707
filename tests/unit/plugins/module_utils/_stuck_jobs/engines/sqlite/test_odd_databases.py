"""Databases with triggers and constraints, unusual files, and users who are not trusted."""

from __future__ import annotations

import os
import pwd
import signal
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import work
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    clean_up,
    engine_of,
    engine_of_record,
    read_database,
    undo,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite import rows
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite.engine import SQLite
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.pace import Pace
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.plan import Plan
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.times import Clock

OLD = "2026-01-18 12:00:00"


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "jobs.db"
    with closing(sqlite3.connect(file)) as db:
        db.executescript(f"""
            CREATE TABLE jobs (id INTEGER PRIMARY KEY, status, updated_at, usr, n INTEGER DEFAULT 1);
            CREATE TABLE links (id INTEGER PRIMARY KEY, job INTEGER, status);
            INSERT INTO jobs (id, status, updated_at, usr) VALUES
                (1, 'processing', '{OLD}', 'ann'), (2, 'processing', '{OLD}', 'bob'), (3, 'pending', '{OLD}', 'bob');
            INSERT INTO links SELECT id, id, status FROM jobs;
        """)
    return file


def sql(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return [db.execute(statement).fetchall() for statement in statements][-1]


def run(path, dry_run=False, **more):
    (report,) = clean_up(engine_of, [read_database(options(path, **more))], dry_run=dry_run)
    return report


def options(path, **more):
    return {
        **{"name": "jobs", "path": str(path), "table": "jobs", "record_directory": str(path.parent / "records")},
        **{"children": [{"table": "links", "foreign_key": ["job"]}], **more},
    }


def test_a_constraint_with_json_as_django_has_it_keeps_no_job_from_being_reset(path):
    sql(path, "ALTER TABLE jobs ADD COLUMN labels TEXT CHECK (JSON_VALID(labels) OR labels IS NULL)")
    assert [run(path, dry_run=dry_run).error for dry_run in (True, False)] == ["", ""]
    assert sql(path, "SELECT DISTINCT status FROM jobs") == [("pending",)]


def test_a_trigger_that_would_load_an_extension_never_does(path):
    sql(path, "CREATE TRIGGER evil AFTER UPDATE ON jobs BEGIN SELECT load_extension('/tmp/evil'); END")
    assert "unsafe use of load_extension" in run(path).error
    assert sql(path, "SELECT count(*) FROM jobs WHERE status = 'processing'") == [(2,)]


@pytest.mark.parametrize("action", ["reset", "delete"])
def test_a_full_text_index_that_triggers_maintain_keeps_no_job_from_being_changed(path, action):
    indexed = "INSERT INTO words(rowid, usr) VALUES (new.id, new.usr);"
    removed = "INSERT INTO words(words, rowid, usr) VALUES ('delete', old.id, old.usr);"
    sql(
        path,
        "CREATE VIRTUAL TABLE words USING fts5(usr, content = 'jobs', content_rowid = 'id')",
        "INSERT INTO words(words) VALUES ('rebuild')",
        f"CREATE TRIGGER changed AFTER UPDATE ON jobs BEGIN {removed} {indexed} END",
        f"CREATE TRIGGER deleted AFTER DELETE ON jobs BEGIN {removed} END",
    )
    assert [run(path, dry_run=dry_run, action=action).error for dry_run in (True, False)] == ["", ""]
    sql(path, "INSERT INTO words(words, rank) VALUES ('integrity-check', 1)")
    assert sql(path, "SELECT count(*) FROM jobs WHERE status = 'processing'") == [(0,)]


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("statement", "action", "why"),
    [
        ("CREATE TRIGGER tell AFTER UPDATE ON jobs BEGIN SELECT own(new.id); END", "reset", "function: own"),
        ("CREATE TRIGGER tell AFTER UPDATE ON links BEGIN SELECT own(new.id); END", "reset", "function: own"),
        ("CREATE TRIGGER tell AFTER DELETE ON links BEGIN SELECT own(old.id); END", "delete", "function: own"),
        ("CREATE TRIGGER tell AFTER INSERT ON jobs BEGIN SELECT own(new.id); END", "delete", "function: own"),
        ("ALTER TABLE jobs ADD COLUMN x TEXT CHECK (own(status))", "reset", "function: own"),
        ("ALTER TABLE jobs ADD COLUMN x TEXT AS (own(status))", "reset", "function: own"),
        ("CREATE INDEX x ON jobs (own(status))", "reset", "function: own"),
        ("CREATE INDEX x ON jobs (usr COLLATE owns)", "delete", "collation sequence: owns"),
        ("CREATE TRIGGER x AFTER UPDATE ON jobs BEGIN DELETE FROM gone; END", "reset", "no such table: main.gone"),
    ],
)
def test_what_only_the_application_could_write_is_refused_by_a_dry_run_too(path, statement, action, why, dry_run):
    before = _rows_with_own_function(path, statement)
    report = run(path, dry_run=dry_run, action=action)
    assert "can't be written" in report.error
    assert why in report.error
    assert _rows_with_own_function(path) == before


@pytest.mark.parametrize(
    ("statement", "action"),
    [
        ("CREATE TRIGGER tell AFTER UPDATE ON jobs BEGIN SELECT own(new.id); END", "delete"),
        ("CREATE INDEX x ON jobs (usr COLLATE owns)", "reset"),
    ],
)
def test_what_the_action_does_not_need_is_no_obstacle(path, statement, action):
    _rows_with_own_function(path, statement)
    assert [run(path, dry_run=dry_run, action=action).error for dry_run in (True, False)] == ["", ""]


def _rows_with_own_function(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.create_function("own", 1, lambda value: 1, deterministic=True)
        db.create_collation("owns", lambda one, other: (one > other) - (one < other))
        for statement in statements:
            db.execute(statement)
        return [db.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() for table in ("jobs", "links")]


def test_a_row_that_sqlite_refuses_stops_no_other(path):
    sql(path, "CREATE UNIQUE INDEX one ON jobs (usr) WHERE status = 'pending'")
    report = run(path)
    assert report.counts["jobs"] == {"reset": 1}
    assert [(note.id, note.why) for note in report.skipped] == [
        ("2", "SQLite refused it: UNIQUE constraint failed: jobs.usr")
    ]
    assert sql(path, "SELECT status FROM jobs") == [("pending",), ("processing",), ("pending",)]
    assert sql(path, "SELECT status FROM links WHERE job = 2") == [("processing",)], "half a job"


@pytest.mark.parametrize("jobs", [[], [1, 2]])
@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("where", "more"),
    [
        ("jobs.usr", {"action": "delete"}),
        ("jobs.usr", {"reset_set": {"usr": None}}),
        ("jobs.updated_at", {}),
        ("links.status", {"action": "delete"}),
    ],
)
def test_a_row_whose_text_is_not_utf_8_stops_no_other(path, where, more, dry_run, jobs):
    table, column = where.split(".")
    sql(path, f"UPDATE {table} SET {column} = CAST(x'6eff' AS TEXT) WHERE id = 1")
    before = sql(path, "SELECT id, hex(usr), hex(updated_at), status FROM jobs WHERE id = 1")
    report = run(path, dry_run, jobs=jobs, respect_age=True, **more)
    assert [row.id for row in report.rows if row.table == "jobs"] == ["2"]
    ((_table, key, why),) = report.skipped
    assert key == "1"
    assert why in (f"{where} is text that is not UTF-8", f"{column} is b'n\\xff', which is not a known time format")
    assert sql(path, "SELECT id, hex(usr), hex(updated_at), status FROM jobs WHERE id = 1") == before
    assert dry_run != (sql(path, "SELECT count(*) FROM jobs WHERE id = 2 AND status = 'processing'") == [(0,)])


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
@pytest.mark.parametrize("index", ["", "CREATE INDEX by_status ON jobs (status)"])
@pytest.mark.parametrize("action", ["delete", "fail"])
def test_large_values_are_read_and_written_a_few_at_a_time(path, monkeypatch, journal, index, action):
    monkeypatch.setattr(rows, "WINDOW", 30)
    monkeypatch.setattr(rows, "PAGE_BYTES", 1000)
    monkeypatch.setattr(work, "LARGE", 100)
    sql(
        path,
        f"PRAGMA journal_mode = {journal}",
        index,
        "WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 109) INSERT INTO jobs"
        f" SELECT i, 'processing', '{OLD}', hex(zeroblob(CASE i % 7 WHEN 0 THEN 1500 ELSE 50 END)), 1 FROM n",
    )
    before = sql(path, "SELECT * FROM jobs ORDER BY id")
    report = run(path, action=action, error_column="usr", error_mode="append")
    assert report.counts["jobs"] == {action: 102}
    assert report.batches > 2
    assert sql(path, "SELECT count(*) FROM jobs WHERE status = 'processing'") == [(0,)]
    assert undo(engine_of_record, report.record).left == 0
    assert sql(path, "SELECT * FROM jobs ORDER BY id") == before


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_a_key_that_is_not_utf_8_stops_only_its_own_job(path, monkeypatch, journal):
    monkeypatch.setattr(rows, "WINDOW", 1)
    monkeypatch.setattr(rows, "PAGE", 1)
    sql(
        path,
        f"PRAGMA journal_mode = {journal}",
        "CREATE TABLE named (usr TEXT PRIMARY KEY, status, updated_at) WITHOUT ROWID",
        "INSERT INTO named SELECT usr, status, updated_at FROM jobs WHERE id < 3",
        f"INSERT INTO named VALUES (CAST(x'6eff' AS TEXT), 'processing', '{OLD}'), ('z', 'processing', '{OLD}')",
    )
    report = run(path, table="named", id_column="usr", children=[])
    assert report.counts == {"named": {"reset": 3}}
    assert [tuple(note) for note in report.skipped] == [("named", "6eff", "named.usr is text that is not UTF-8")]


@pytest.mark.parametrize(
    ("action", "trigger"),
    [
        ("reset", "AFTER UPDATE ON links BEGIN UPDATE jobs SET updated_at = datetime() WHERE id = new.job; END"),
        ("delete", "AFTER DELETE ON links BEGIN UPDATE jobs SET n = n - 1 WHERE id = old.job; END"),
    ],
)
def test_changes_by_a_trigger_are_not_taken_for_those_of_another_process(path, action, trigger):
    sql(path, f"CREATE TRIGGER touch {trigger}")
    report = run(path, action=action)
    assert report.counts["jobs"] == {action: 2}
    assert not report.moved_on_count
    undone = undo(engine_of_record, report.record)
    assert (undone.back, undone.left) == (4, 0)
    assert sql(path, "SELECT count(*) FROM jobs WHERE status = 'processing'") == [(2,)]


@pytest.mark.parametrize("on_conflict", ["REPLACE", "ROLLBACK", "IGNORE"])
def test_on_conflict_clauses_of_the_table_delete_no_other_row(path, on_conflict):
    sql(
        path,
        "CREATE TABLE named (id INTEGER PRIMARY KEY, status, updated_at, usr,"
        f" UNIQUE (usr, status) ON CONFLICT {on_conflict})",
        "INSERT INTO named SELECT id, status, updated_at, usr FROM jobs",
    )
    report = run(path, table="named", children=[])
    assert report.counts == {"named": {"reset": 1}}
    assert [note.id for note in report.skipped] == ["2"]
    assert sql(path, "SELECT id, status FROM named ORDER BY id") == [(1, "pending"), (2, "processing"), (3, "pending")]


def test_the_applications_triggers_keep_their_own_conflict_handling(path):
    sql(
        path,
        "CREATE TABLE dirty (usr PRIMARY KEY)",
        "INSERT INTO dirty VALUES ('ann')",
        "CREATE TRIGGER u AFTER UPDATE ON jobs BEGIN INSERT OR IGNORE INTO dirty VALUES (new.usr); END",
        "CREATE TRIGGER i AFTER INSERT ON jobs BEGIN INSERT OR REPLACE INTO dirty VALUES (new.usr); END",
    )
    for action in ("reset", "delete"):
        report = run(path, action=action)
        assert (report.counts["jobs"], report.skipped) == ({action: 2}, [])
        assert undo(engine_of_record, report.record).left == 0


@pytest.mark.usefixtures("in_this_process")
def test_a_run_that_fails_halfway_reports_what_it_changed(path, monkeypatch):
    """A deferred foreign key divides the batch; after the first half, another process holds the database."""
    sql(
        path,
        "CREATE TABLE states (status PRIMARY KEY)",
        "INSERT INTO states VALUES ('processing')",
        "CREATE TABLE late (id INTEGER PRIMARY KEY, updated_at,"
        " status REFERENCES states DEFERRABLE INITIALLY DEFERRED)",
        f"INSERT INTO late VALUES (1, '{OLD}', 'processing'), (2, '{OLD}', 'processing')",
    )
    original, seen = Pace.transaction, []

    @contextmanager
    def transaction(pace, jobs, *before_commit):
        seen.append(len(jobs))
        if len(seen) == 2:
            sql(path, "INSERT INTO states VALUES ('pending')")
        if len(seen) == 3:
            raise sqlite3.OperationalError("database is locked")
        with original(pace, jobs, *before_commit):
            yield

    monkeypatch.setattr(Pace, "transaction", transaction)
    report = run(path, table="late", children=[])
    assert seen == [2, 1, 1]
    assert "another process held the database" in report.error
    assert report.counts == {"late": {"reset": 1}}
    assert "Before that: 1 in late reset to pending" in report.sentence()
    assert undo(engine_of_record, report.record).back == 1


@pytest.mark.parametrize("body", ["SELECT RAISE(ROLLBACK, 'not him')", "SELECT RAISE(ABORT, 'not him')"])
@pytest.mark.parametrize("other", ["SELECT RAISE(ABORT, 'nor him')", "SELECT 1"])
def test_a_trigger_that_refuses_a_job_stops_no_other(path, body, other):
    sql(path, "INSERT INTO jobs SELECT id + 10, status, updated_at, 'n' || id, 1 FROM jobs WHERE id < 3")
    sql(path, f"CREATE TRIGGER one BEFORE UPDATE ON jobs WHEN old.usr = 'bob' BEGIN {body}; END")
    sql(path, f"CREATE TRIGGER two BEFORE UPDATE ON jobs WHEN old.usr = 'n1' BEGIN {other}; END")
    report = run(path)
    refused = {"2": "SQLite refused it: not him"}
    if "nor" in other:
        refused["11"] = "SQLite refused it: nor him"
    assert {note.id: note.why for note in report.skipped} == refused
    stuck = [(2,), (11,)] if "nor" in other else [(2,)]
    assert sql(path, "SELECT id FROM jobs WHERE status = 'processing'") == stuck
    assert report.counts["jobs"] == {"reset": 4 - len(stuck)}
    undone = undo(engine_of_record, report.record)
    assert (undone.left, len(sql(path, "SELECT id FROM jobs WHERE status = 'processing'"))) == (0, 4)


@pytest.mark.parametrize("who", ["jobs WHEN old.usr = 'bob'", "links WHEN old.job = 2"])
@pytest.mark.parametrize("action", ["reset", "delete"])
def test_a_job_whose_change_a_trigger_ignores_is_not_reported_as_changed(path, action, who):
    event = {"reset": "UPDATE", "delete": "DELETE"}[action]
    softly = "UPDATE jobs SET n = n + 1 WHERE id = 2;" if event == "DELETE" else ""
    sql(path, f"CREATE TRIGGER keep BEFORE {event} ON {who} BEGIN {softly} SELECT RAISE(IGNORE); END")
    report = run(path, action=action)
    assert report.counts == {"jobs": {action: 1}, "links": {action: 1}}
    assert sql(path, "SELECT n, status FROM jobs WHERE id = 2") == [(1, "processing")]
    (note,) = report.skipped
    assert (note.id, note.why) == ("2", "SQLite refused it: a trigger ignored the change")
    assert sql(path, "SELECT status FROM links WHERE job = 2") == [("processing",)], "half a job"


def test_a_deferred_foreign_key_that_fails_stops_no_other_job(path):
    sql(
        path,
        "CREATE TABLE states (usr, status, UNIQUE (usr, status))",
        "INSERT INTO states SELECT DISTINCT usr, status FROM jobs WHERE id < 3",
        "INSERT INTO states VALUES ('n1', 'pending'), ('n2', 'pending'), ('n1', 'processing'), ('n2', 'processing')",
        "CREATE TABLE late (id INTEGER PRIMARY KEY, status, updated_at, usr,"
        " FOREIGN KEY (usr, status) REFERENCES states (usr, status) DEFERRABLE INITIALLY DEFERRED)",
        f"INSERT INTO late VALUES (1, 'processing', '{OLD}', 'n1'), (2, 'processing', '{OLD}', 'ann'),"
        f" (3, 'processing', '{OLD}', 'n2')",
    )
    report = run(path, table="late", children=[])
    assert report.counts == {"late": {"reset": 2}}
    assert [(note.id, note.why) for note in report.skipped] == [
        ("2", "SQLite refused it: FOREIGN KEY constraint failed")
    ]
    sql(path, "DELETE FROM states WHERE usr = 'n2' AND status = 'processing'")
    undone = undo(engine_of_record, report.record)
    assert (undone.back, undone.left) == (1, 1)
    assert sql(path, "SELECT status FROM late") == [("processing",), ("processing",), ("pending",)]


def test_rows_that_refer_to_later_batches_are_restored_after_them(path):
    rows = ", ".join(f"({n}, 'processing', '{OLD}', {n + 200 if n <= 100 else 'NULL'})" for n in range(1, 401))
    sql(
        path,
        "CREATE TABLE chain (id INTEGER PRIMARY KEY, status, updated_at, next REFERENCES chain (id))",
        "CREATE INDEX by_next ON chain (next)",
        f"INSERT INTO chain VALUES {rows}",
    )
    report = run(path, table="chain", children=[], action="delete")
    assert report.counts == {"chain": {"delete": 400}}
    undone = undo(engine_of_record, report.record)
    assert (undone.back, undone.left) == (400, 0)


def test_a_dry_run_works_after_a_crash_in_a_transaction_of_the_application(path):
    sql(path, "PRAGMA journal_mode = DELETE")
    child = os.fork()
    if not child:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA cache_size = 5")
        db.execute("BEGIN")
        db.execute(
            "INSERT INTO links SELECT n.value + 10, 1, hex(randomblob(500)) FROM json_each(?) AS n",
            [str(list(range(500)))],
        )
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert Path(f"{path}-journal").stat().st_size
    report = run(path, dry_run=True)
    assert (report.error, report.counts["jobs"]) == ("", {"reset": 2})


def test_a_given_id_matches_a_numeric_id_only_as_written(path):
    sql(path, f"INSERT INTO jobs (id, status, updated_at) VALUES (700, 'processing', '{OLD}')")
    assert run(path, jobs=["7e2"], action="delete").unknown == ["7e2"]
    assert run(path, jobs=["700"], action="delete").counts["jobs"] == {"delete": 1}


@pytest.mark.parametrize("never", ["0001-01-01 00:00:00+00:00", "1970-01-01T00:00:00Z"])
def test_times_that_mean_never_give_no_age(path, never):
    sql(path, f"UPDATE jobs SET updated_at = '{never}' WHERE id = 1")
    report = run(path)
    assert report.counts["jobs"] == {"reset": 1}
    assert [(note.id, "not a known time format" in note.why) for note in report.skipped] == [("1", True)]


def test_a_family_that_is_larger_than_a_batch_is_a_batch_by_itself(path):
    """Batches are counted in rows, not jobs: thousands of links must not be in one batch with a hundred jobs."""
    sql(
        path,
        "INSERT INTO links SELECT NULL, 1 + n.value % 2, 'processing' FROM json_each('[" + "1,2," * 2500 + "3]') AS n",
    )
    report = run(path)
    assert report.batches == 2
    assert report.counts["links"] == {"reset": 5003}


def test_children_without_an_index_are_found_in_one_scan(path):
    sql(
        path,
        "DELETE FROM links",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        f" INSERT INTO jobs SELECT i + 10, 'processing', '{OLD}', 'usr' || i, 1 FROM n",
    )
    sql(path, "INSERT INTO links SELECT id, id, 'processing' FROM jobs")
    steps = [0]

    def step():
        steps[0] += 1

    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        database = read_database(options(path))
        plan = Plan(SQLite(database), rows.Rows(db, database), Clock(), {}, print)
        few = next(plan.pages())[:20]
        db.set_progress_handler(step, 1000)
        assert plan.unharmed(few) == few
    assert steps[0] < 300, "one look is at 20,000 links, one for each of the 20 jobs at 400,000"


def test_an_undo_continues_after_a_job_that_can_not_be_restored(path):
    sql(path, "CREATE UNIQUE INDEX one ON jobs (usr) WHERE status = 'processing'")
    report = run(path, action="delete")
    sql(path, "INSERT INTO jobs (id, status, usr) VALUES (9, 'processing', 'ann')")
    undone = undo(engine_of_record, report.record)
    assert (undone.back, undone.left) == (2, 1)
    assert sql(path, "SELECT id FROM jobs ORDER BY id") == [(2,), (3,), (9,)]
    assert sql(path, "SELECT job FROM links ORDER BY job") == [(2,), (3,)], "a link came back without its job"


def test_an_undo_continues_after_a_trigger_that_rolls_the_transaction_back(path):
    report = run(path)
    sql(
        path,
        "CREATE TRIGGER keep BEFORE UPDATE ON jobs WHEN old.usr = 'ann' BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    )
    undone = undo(engine_of_record, report.record)
    assert (undone.back, undone.left) == (2, 1)
    for table in ("jobs", "links"):
        after = sql(path, f"SELECT status FROM {table} WHERE id < 3")
        assert after == [("pending",), ("processing",)], f"{table}: all of a job, or nothing"


def test_an_undo_changes_no_link_of_a_job_that_moved_on(path):
    report = run(path)
    sql(path, "UPDATE jobs SET status = 'cancelled' WHERE id = 1")
    assert undo(engine_of_record, report.record).left == 1
    assert sql(path, "SELECT status FROM links WHERE job = 1") == [("pending",)]


@pytest.mark.parametrize("head", ["", '{"database": "/srv/some'])
def test_an_incomplete_record_stops_no_run(path, head):
    run(path, jobs=["1"])
    owner = pwd.getpwuid(os.getuid()).pw_name
    part = path.parent / "records" / owner / "jobs-20260118T120000Z-cut.jsonl.part"
    part.write_text(head)
    assert run(path).counts["jobs"] == {"reset": 1}
    assert not part.exists()


def test_a_record_of_another_database_is_left_alone(path):
    run(path, jobs=["1"])
    part = path.parent / "records" / pwd.getpwuid(os.getuid()).pw_name / "jobs-20260118T120000Z-other.jsonl.part"
    part.write_text('{"database": "/srv/other.db", "name": "jobs"}\n')
    assert not run(path).error
    assert part.exists()
