"""The stuck-job engine with unusual schemas: foreign keys of every kind, collations, affinities."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    clean_up,
    engine_of,
    engine_of_record,
    read_database,
    undo,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite import rows as engine_rows
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite.engine import SQLite
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.plan import Plan
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.record import Record
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.times import Clock

NOW = 1_768_737_600.0
OLD = int(NOW) - 3600
LINKS = {"table": "links", "foreign_key": "job_id", "status_column": ""}


def make(tmp_path, script, mode="wal"):
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA journal_mode = {mode}")
        db.executescript(script)
    return path


def run(path, /, **more):
    said = {"name": "jobs", "path": str(path), "table": "jobs", "record_directory": str(path.parent / "records")}
    (report,) = clean_up(engine_of, [read_database({**said, **more})], now=NOW)
    assert not report.error
    return report


def rows(path, sql):
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def dump(path):
    with closing(sqlite3.connect(path)) as db:
        return sorted(db.iterdump())


def jobs(columns="id TEXT PRIMARY KEY", *keys, more=""):
    """A table of stuck jobs, each with these values for the first columns."""
    inserted = "".join(f"INSERT INTO jobs VALUES ({key}, 'processing', {OLD});" for key in keys)
    return f"CREATE TABLE jobs ({columns}, status, updated_at){more}; {inserted}"


LINK = "CREATE TABLE links (id INTEGER PRIMARY KEY, job_id TEXT REFERENCES jobs);"


# Foreign keys that no child names

CASCADES = ["CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION"]


@pytest.mark.parametrize("does", CASCADES)
@pytest.mark.parametrize(
    ("script", "more", "why"),
    [
        pytest.param(
            jobs("id TEXT PRIMARY KEY", "'a'")
            + LINK
            + "INSERT INTO links VALUES (1, 'a');"
            + "CREATE TABLE logs (link INTEGER REFERENCES links ON DELETE {does}); INSERT INTO logs VALUES (1);",
            {"children": [LINKS]},
            "rows of logs refer to its links by link: add that table to the children",
            id="of a child",
        ),
        pytest.param(
            jobs("id TEXT PRIMARY KEY", "'a'")
            + "INSERT INTO jobs VALUES ('b', 'done', 1);"
            + "CREATE TABLE links (id INTEGER PRIMARY KEY, job_id TEXT REFERENCES jobs,"
            + " orig TEXT REFERENCES jobs ON DELETE {does}); INSERT INTO links VALUES (1, 'b', 'a');",
            {"children": [LINKS]},
            "other rows of links refer to it by orig",
            id="a child's second",
        ),
        *(
            pytest.param(
                jobs("id INTEGER PRIMARY KEY, uuid TEXT UNIQUE", "1, 'u'")
                + f"CREATE TABLE logs (job_id INTEGER REFERENCES {to} ON DELETE {{does}});"
                + "INSERT INTO logs VALUES (1);",
                {"id_column": "uuid"},
                "rows of logs refer to it by job_id: add that table to the children",
                id=what,
            )
            for to, what in (("jobs(id)", "to another column"), ("jobs", "to the primary key, not named"))
        ),
        pytest.param(
            jobs("id TEXT PRIMARY KEY", "'a'")
            + "CREATE TABLE logs (job_id TEXT REFERENCES JOBS(ID) ON DELETE {does}); INSERT INTO logs VALUES ('a');",
            {},
            "rows of logs refer to it by job_id: add that table to the children",
            id="in capitals",
        ),
        pytest.param(
            jobs("a, b", "1, 2", more="").replace("updated_at)", "updated_at, PRIMARY KEY (a, b)) WITHOUT ROWID")
            + "CREATE TABLE logs (x, y, FOREIGN KEY (y, x) REFERENCES jobs(b, a) ON DELETE {does});"
            + "INSERT INTO logs VALUES (1, 2);",
            {"id_column": ["a", "b"]},
            "rows of logs refer to it by y, x: add that table to the children",
            id="of two columns",
        ),
        pytest.param(
            jobs("id TEXT PRIMARY KEY, again TEXT REFERENCES jobs ON DELETE {does}", "'a', NULL")
            + f"INSERT INTO jobs VALUES ('b', 'a', 'done', {OLD});",
            {},
            "other rows of jobs refer to it by again",
            id="of the jobs themselves",
        ),
        pytest.param(
            jobs("id TEXT PRIMARY KEY COLLATE NOCASE", "'a'")
            + LINK.replace("jobs", "jobs ON DELETE {does}")
            + "INSERT INTO links VALUES (1, 'A');",
            {"children": [LINKS]},
            "other rows of links refer to it by job_id",
            id="with the parent's collation",
        ),
    ],
)
def test_a_delete_removes_no_row_that_is_not_in_its_plan(tmp_path, script, more, why, does):
    path = make(tmp_path, script.replace("{does}", does))
    before = dump(path)
    report = run(path, action="delete", **more)
    assert [note.why for note in report.skipped] == [why]
    assert dump(path) == before


def test_a_foreign_key_within_the_family_stops_no_delete(tmp_path):
    script = (
        jobs("id TEXT PRIMARY KEY, root TEXT REFERENCES jobs", "'a', 'a'", "'b', NULL")
        + "CREATE TABLE links (id INTEGER PRIMARY KEY, job_id TEXT REFERENCES jobs, orig TEXT REFERENCES jobs);"
        + "INSERT INTO links VALUES (1, 'a', 'a'), (2, 'b', NULL);"
    )
    path = make(tmp_path, script)
    before = dump(path)
    report = run(path, action="delete", children=[LINKS])
    assert not report.skipped
    assert report.counts == {"jobs": {"delete": 2}, "links": {"delete": 2}}
    undo(engine_of_record, report.record)
    assert dump(path) == before


def test_a_job_to_which_a_row_refers_since_the_plan_is_left_alone(tmp_path, monkeypatch):
    path = make(
        tmp_path,
        jobs("id TEXT PRIMARY KEY", "'a'", "'b'")
        + LINK
        + "INSERT INTO links VALUES (1, 'a'), (2, 'b');"
        + "CREATE TABLE logs (link INTEGER REFERENCES links ON DELETE CASCADE);",
    )

    def intend(record, batch):
        original(record, batch)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("INSERT INTO logs VALUES (1)")

    original = Record.intend
    monkeypatch.setattr(Record, "intend", intend)
    report = run(path, action="delete", children=[LINKS])
    assert [note.id for note in report.moved_on] == ["a"]
    assert rows(path, "SELECT link FROM logs") == [(1,)]
    assert rows(path, "SELECT job_id FROM links") == rows(path, "SELECT id FROM jobs") == [("a",)]


# Names


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("action", ["reset", "delete"])
@pytest.mark.parametrize(
    ("table", "child"), [("jobs", "parent"), ("jobs", "place"), ("place", "jobs"), ("{jobs} {}", "{0}"), ("{", "}")]
)
def test_table_names_never_conflict_with_names_in_our_sql(tmp_path, table, child, action, mode):
    script = f"""{jobs("id INTEGER PRIMARY KEY", 1, 2).replace("jobs", f'"{table}"')}
        CREATE TABLE "{child}" (id INTEGER PRIMARY KEY, n REFERENCES "{table}", status);
        INSERT INTO "{child}" VALUES (1, 1, 'processing'), (2, 2, 'processing');"""
    children = [{"table": child, "foreign_key": "n"}]
    report = run(make(tmp_path, script, mode), table=table, action=action, children=children)
    assert report.counts == {table: {action: 2}, child: {action: 2}}


# Attempts


@pytest.mark.parametrize(
    ("stored", "after"),
    [
        ("NULL", ("pending", 1)),
        ("2", ("pending", 3)),
        ("2.0", ("pending", 3)),
        ("'2'", ("pending", 3)),
        ("' 2.0 '", ("pending", 3)),
        ("5", ("failed", 5)),
        ("5.0", ("failed", 5.0)),
        ("'5'", ("failed", "5")),
    ],
)
def test_attempts_are_counted_in_any_stored_type(tmp_path, stored, after):
    path = make(tmp_path, jobs("id TEXT PRIMARY KEY, tries", f"'a', {stored}"))
    run(path, attempts_column="tries", max_attempts=5)
    assert rows(path, "SELECT status, tries FROM jobs") == [after]


@pytest.mark.parametrize("stored", ["'many'", "''", "1.5", "x'35'", "9e999", str(2**63 - 1), "'1_0'", f"'{2**64}'"])
def test_an_attempts_value_that_is_no_number_is_neither_counted_nor_overwritten(tmp_path, stored):
    path = make(tmp_path, jobs("id TEXT PRIMARY KEY, tries", f"'a', {stored}"))
    before = dump(path)
    report = run(path, attempts_column="tries")
    (value,) = rows(path, "SELECT tries FROM jobs")[0]
    assert [note.why for note in report.skipped] == [f"tries is {value!r}, which is not a number of attempts"]
    assert dump(path) == before
    assert run(path, attempts_column="tries", action="fail").counts == {"jobs": {"fail": 1}}


# What is compared


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("without", ["", " WITHOUT ROWID"])
@pytest.mark.parametrize(
    "index",
    [
        "",
        "CREATE INDEX i ON jobs (status)",
        "CREATE INDEX i ON jobs (status, updated_at)",
        "CREATE INDEX i ON jobs (kind) WHERE status IS NOT NULL",
    ],
)
def test_a_status_is_compared_by_its_affinity_and_paged_by_the_key(tmp_path, monkeypatch, index, without, mode):
    monkeypatch.setattr(engine_rows, "PAGE", 400)
    table = f"CREATE TABLE jobs (id INTEGER PRIMARY KEY, kind, status TEXT, updated_at){without}; {index};"
    path = make(tmp_path, table, mode)
    with closing(sqlite3.connect(path)) as db:
        db.executemany("INSERT INTO jobs VALUES (?, ?, '1', ?)", [(key, -key, OLD) for key in range(500)])
        db.commit()
    said = {"name": "jobs", "path": str(path), "table": "jobs", "action": "delete", "stuck_statuses": [1]}
    asked = []
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        database = read_database(said)
        plan = Plan(SQLite(database), engine_rows.Rows(db, database), Clock(NOW), {}, print)
        db.set_trace_callback(asked.append)
        found = [change.key[0] for page in plan.pages() for change in page]
        db.set_trace_callback(None)
        ways = [
            row[3] for sql in asked if sql.startswith('SELECT "') for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")
        ]
    assert found == list(range(500))
    assert not any("TEMP B-TREE" in way for way in ways)
    if "(status)" not in index:
        assert not any(" i " in f"{way} " for way in ways)


@pytest.mark.parametrize("action", ["reset", "delete"])
@pytest.mark.parametrize("index", ["", "CREATE INDEX i ON links (job_id);"])
def test_a_child_belongs_to_the_job_of_exactly_its_key(tmp_path, index, action):
    path = make(
        tmp_path,
        jobs("id TEXT PRIMARY KEY", "'a'")
        + f"INSERT INTO jobs VALUES ('A', 'done', {OLD});"
        + "CREATE TABLE links (id INTEGER PRIMARY KEY, job_id TEXT COLLATE NOCASE REFERENCES jobs, status);"
        + f"{index} INSERT INTO links VALUES (1, 'a', 'processing'), (2, 'A', 'processing');",
    )
    report = run(path, action=action, children=[{"table": "links", "foreign_key": "job_id"}])
    assert report.counts == {"jobs": {action: 1}, "links": {action: 1}}
    assert rows(path, "SELECT id FROM links WHERE status = 'processing'") == [(2,)]
