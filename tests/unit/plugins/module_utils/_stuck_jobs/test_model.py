"""The stuck-job engine against a model: random schemas, states, timestamps, families and concurrent changes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from unittest import mock

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import pace, plan
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    clean_up,
    engine_of,
    engine_of_record,
    read_database,
    undo,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql import (
    rows as postgresql_rows,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite import rows as sqlite_rows
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.record import Record
from clean_ups import SQLite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 1, 18, 12, tzinfo=timezone.utc).timestamp()
KEYS = {
    "rowid": ("id TEXT PRIMARY KEY", ["id"]),
    "integer": ("id INTEGER PRIMARY KEY", ["id"]),
    "blob": ("id BLOB UNIQUE", ["id"]),
    "without": ("id TEXT PRIMARY KEY) WITHOUT ROWID --", ["id"]),
    "composite": ("tenant TEXT, id INTEGER, UNIQUE (tenant, id)", ["tenant", "id"]),
    "composite without": ("tenant TEXT, id INTEGER, PRIMARY KEY (tenant, id)) WITHOUT ROWID --", ["tenant", "id"]),
}
STATUSES = ("processing", "running", "pending", "completed", None)
AGES = st.one_of(st.none(), st.just("garbage"), st.integers(-4000, 9000))
JOB = st.fixed_dictionaries(
    {
        "status": st.sampled_from(STATUSES),
        "at": AGES,
        "made": AGES,
        "way": st.integers(0, 5),
        "queue": st.sampled_from(("mail", "video", None)),
        "attempts": st.sampled_from((None, 0, 1, 2, 3)),
        "error": st.sampled_from((None, "", "boom", '["boom"]')),
        "beat": st.one_of(st.none(), st.integers(0, 9000)),
    }
)
RELATIVE = st.tuples(st.integers(0, 9), st.sampled_from(STATUSES))
WISH = st.fixed_dictionaries(
    {
        "action": st.sampled_from(("reset", "fail", "delete")),
        "threshold": st.integers(0, 100),
        "thresholds": st.sampled_from(({}, {"mail": "10m"}, {"mail": "10m", "video": "2h"})),
        "error_mode": st.sampled_from(("replace", "append", "json")),
        "heartbeat_column": st.sampled_from(("", "beat")),
        "max_attempts": st.integers(0, 3),
        "count_attempts": st.booleans(),
        "fallback_time_column": st.sampled_from(("", "made")),
    }
)


def written(age, way):
    """An age (seconds before NOW) as an application would store it."""
    if not isinstance(age, int):
        return age
    moment = datetime.fromtimestamp(NOW - age, timezone.utc)
    return (
        moment.isoformat,
        lambda: moment.astimezone(timezone(timedelta(hours=-7))).isoformat(" "),
        lambda: moment.strftime("%Y-%m-%d %H:%M:%S"),
        lambda: int(NOW - age) * 1000,
        lambda: str(int(NOW - age)),
        lambda: float(NOW - age),
    )[way]()


def expected(jobs, children, grandchildren, wish, moved):  # noqa: PLR0912
    """The expected rows, by a simple model: three dictionaries."""
    after, gone = {key: dict(job) for key, job in jobs.items()}, {}
    for key, job in jobs.items():
        age = job["made"] if job["at"] is None and wish["fallback_time_column"] else job["at"]
        minutes = {"10m": 10, "2h": 120}.get(wish["thresholds"].get(job["queue"]), wish["threshold"])
        if job["status"] not in ("processing", "running") or not isinstance(age, int) or age < 0 or age < minutes * 60:
            continue
        if wish["heartbeat_column"] and job["beat"] is not None and job["beat"] < minutes * 60:
            continue
        attempts = job["attempts"] or 0
        action = wish["action"]
        if action == "reset" and wish["max_attempts"] and attempts >= wish["max_attempts"]:
            action = "fail"
        if action == "fail" and wish["error_mode"] == "json" and job["error"] == "boom":
            continue
        if key in moved:
            after[key]["status"] = "completed"
            continue
        gone[key] = action
        if action == "reset":
            after[key].update(status="pending", queue=None)
            if wish["count_attempts"]:
                after[key]["attempts"] = attempts + 1
        elif action == "fail":
            message = f"given up after {attempts}"
            old = job["error"] if wish["error_mode"] == "append" else None
            after[key].update(status="failed", error=f"{old}\n{message}" if old else message)
            if wish["error_mode"] == "json":
                entry = {"at": "2026-01-18T12:00:00Z", "error": message, "attempts": attempts}
                after[key]["error"] = json.dumps([*json.loads(job["error"] or "[]"), entry])
        else:
            del after[key]
    to = {"reset": "pending", "fail": "failed"}
    left, dead, acted = {}, set(), {}
    for key, (parent, status) in children.items():
        action = gone.get(parent)
        if action == "delete":
            dead.add(key)
            continue
        is_stuck = action and status in ("processing", "running")
        left[key] = (parent, to[action] if is_stuck else status)
        if is_stuck:
            acted[key] = action
    last = {}
    for key, (parent, status) in grandchildren.items():
        if parent in dead:
            continue
        action = acted.get(parent)
        last[key] = (parent, to[action] if action and status in ("processing", "running") else status)
    return after, left, last


def fill(path, kind, journal, index, jobs, children, grandchildren):  # noqa: PLR0913, PLR0917
    columns, keys = KEYS[kind]
    columns, tail = columns.split(") ", 1) if ") " in columns else (columns, "")
    references = ", ".join(f"job_{key}" for key in keys)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA journal_mode = {journal}")
        db.executescript(f"""
            CREATE TABLE jobs ({", ".join(f"{column}" for column in columns.split(", ")[: len(keys)])},
                status, at, made, beat, queue, attempts, error,
                payload{_constraint(columns, keys)}) {tail.replace("--", "")};
            CREATE TABLE children (id INTEGER PRIMARY KEY, {references}, status);
            CREATE TABLE grandchildren (id INTEGER PRIMARY KEY, child INTEGER, status);
            CREATE TABLE neighbours AS SELECT 1 AS id, 'processing' AS status, '2000-01-01 00:00:00' AS at;
        """)
        if index:
            db.execute(f"CREATE INDEX i ON jobs ({index})")
        for key, job in jobs.items():
            stamps = (written(job["at"], job["way"]), written(job["made"], job["way"]))
            stamps += (written(job["beat"], job["way"]),)
            row = (*key, job["status"], *stamps, job["queue"], job["attempts"], job["error"], b"\0\xff")
            db.execute(f"INSERT INTO jobs VALUES ({', '.join('?' * len(row))})", row)
        for key, (parent, status) in children.items():
            db.execute(f"INSERT INTO children VALUES (?, {', '.join('?' * len(parent))}, ?)", (key, *parent, status))
        db.executemany("INSERT INTO grandchildren VALUES (?, ?, ?)", [(k, p, s) for k, (p, s) in grandchildren.items()])
        db.commit()


def fill_postgresql(app, columns, keys, jobs, children, grandchildren):  # noqa: PLR0913, PLR0917
    kinds = dict(column.split()[:2] for column in columns.split(", ")[: len(keys)])
    references = ", ".join(f"job_{key} {kind}" for key, kind in kinds.items())
    app.sql(f"""
        DROP TABLE IF EXISTS jobs, children, grandchildren;
        CREATE TABLE jobs ({columns}, status text, at text, made text, beat text, queue text,
            attempts integer, error text, payload bytea);
        CREATE TABLE children (id integer PRIMARY KEY, {references}, status text);
        CREATE TABLE grandchildren (id integer PRIMARY KEY, child integer, status text);
    """)
    rows = {
        "jobs": [
            (
                *(*key, job["status"], *(text(written(job[at], job["way"])) for at in ("at", "made", "beat"))),
                *(job["queue"], job["attempts"], job["error"], b"\0\xff"),
            )
            for key, job in jobs.items()
        ],
        "children": [(key, *parent, status) for key, (parent, status) in children.items()],
        "grandchildren": [(key, parent, status) for key, (parent, status) in grandchildren.items()],
    }
    for table, values in rows.items():
        if values:
            written_rows = ", ".join(f"({', '.join(literal(app, value) for value in row)})" for row in values)
            app.sql(f"INSERT INTO {table} VALUES {written_rows}")


def text(value):
    return None if value is None else str(value)


def literal(database, value):
    """SQL of a value that contains no quote."""
    if value is None:
        return "NULL"
    return database.bytes(value) if isinstance(value, bytes) else repr(value)


def _constraint(columns, keys):
    rest = columns.split(", ", len(keys))[len(keys) :]
    return f", {rest[0]}" if rest else ""


def snapshot(path):
    with closing(sqlite3.connect(path)) as db:
        return sorted(db.iterdump())


@pytest.mark.usefixtures("in_this_process")
@settings(max_examples=120)
@given(
    jobs=st.lists(JOB, max_size=10),
    children=st.lists(RELATIVE, max_size=12),
    grandchildren=st.lists(RELATIVE, max_size=12),
    wish=WISH,
    kind=st.sampled_from(sorted(KEYS)),
    journal=st.sampled_from(("wal", "delete")),
    index=st.sampled_from(("", "status", "status, at")),
    movers=st.sets(st.integers(0, 9), max_size=4),
)
def test_a_run_ends_as_the_model_says_and_its_undo_as_it_began(  # noqa: PLR0913, PLR0917
    tmp_path_factory, jobs, children, grandchildren, wish, kind, journal, index, movers
):
    database = SQLite(tmp_path_factory.mktemp("db"), journal)
    make = {"blob": lambda n: (bytes([n]),), "integer": lambda n: (n,)}.get(
        kind, (lambda n: (f"t{n % 2}", n)) if "composite" in kind else (lambda n: (f"key-{n:02}",))
    )
    family = keyed(make, jobs, children, grandchildren)
    fill(database.path, kind, journal, index, *family)
    with mock.patch.multiple(sqlite_rows, PAGE=3, DELETE_PAGE=2, WINDOW=4, BOUND=4):
        check(database, KEYS[kind][1], family, wish, set(map(make, movers)))


POSTGRESQL_KEYS = {
    "integer": ("id integer PRIMARY KEY", ["id"], lambda n: (n,)),
    "text": ("id text UNIQUE", ["id"], lambda n: (f"key-{n:02}",)),
    "composite": ("tenant text, id integer, UNIQUE (tenant, id)", ["tenant", "id"], lambda n: (f"t{n % 2}", n)),
}


@pytest.mark.usefixtures("in_this_process")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    jobs=st.lists(JOB, max_size=10),
    children=st.lists(RELATIVE, max_size=12),
    grandchildren=st.lists(RELATIVE, max_size=12),
    wish=WISH,
    kind=st.sampled_from(sorted(POSTGRESQL_KEYS)),
    movers=st.sets(st.integers(0, 9), max_size=4),
)
def test_a_run_in_postgresql_ends_as_the_model_says_and_its_undo_as_it_began(  # noqa: PLR0913, PLR0917
    app, jobs, children, grandchildren, wish, kind, movers
):
    columns, keys, make = POSTGRESQL_KEYS[kind]
    family = keyed(make, jobs, children, grandchildren)
    fill_postgresql(app, columns, keys, *family)
    with mock.patch.multiple(postgresql_rows, PAGE=3, DELETE_PAGE=2):
        check(app, keys, family, wish, set(map(make, movers)))


def keyed(make, jobs, children, grandchildren):
    """The rows by their keys."""
    return (
        {make(number): job for number, job in enumerate(jobs)},
        {number: (make(parent), status) for number, (parent, status) in enumerate(children)},
        dict(enumerate(grandchildren)),
    )


def check(database, keys, family, wish, moved):
    """Cleans up and compares with the model; undoes and compares with what was there."""
    options = database.options(
        **{"id_column": keys, "time_column": "at", "stuck_statuses": ["processing", "running"]},
        **{"threshold_column": "queue", "attempts_column": "attempts", "reset_set": {"queue": None}},
        **{"error_column": "error", "error_message": "given up after {attempts}"},
        children=[
            {
                "table": "children",
                "foreign_key": [f"job_{key}" for key in keys],
                "children": [{"table": "grandchildren", "foreign_key": "child"}],
            }
        ],
        **{**wish, "threshold": f"{wish['threshold']}min"},
    )
    before = database.dump()
    happened = set()

    def intend(record, batch):
        """Between plan and transaction, the application finishes some of the jobs."""
        original(record, batch)
        for change in batch:
            if change.key in moved:
                happened.add(change.key)
                where = " AND ".join(f"{key} = {literal(database, value)}" for key, value in zip(keys, change.key))
                database.sql(f"UPDATE jobs SET status = 'completed' WHERE {where}")

    original = Record.intend
    with mock.patch.multiple(pace, FIRST=2, LEAST=1), mock.patch.object(plan, "FEW", 2):
        (dry,) = clean_up(engine_of, [read_database(options)], dry_run=True, now=NOW)
        assert database.dump() == before
        with mock.patch.object(Record, "intend", intend):
            (report,) = clean_up(engine_of, [read_database(options)], now=NOW)
        assert not report.error
        expected_jobs, expected_children, expected_grandchildren = expected(*family, wish, moved)
        columns = ", ".join([*keys, "status", "queue", "attempts", "error", "payload"])
        assert set(database.sql(f"SELECT {columns} FROM jobs")) == {
            (*key, job["status"], job["queue"], job["attempts"], job["error"], b"\0\xff")
            for key, job in expected_jobs.items()
        }
        references = ", ".join(f"job_{key}" for key in keys)
        assert database.sql(f"SELECT id, {references}, status FROM children ORDER BY id") == [
            (key, *parent, status) for key, (parent, status) in expected_children.items()
        ]
        assert database.sql("SELECT id, child, status FROM grandchildren ORDER BY id") == [
            (key, parent, status) for key, (parent, status) in expected_grandchildren.items()
        ]
        assert report.moved_on_count == len(happened)
        assert dry.count == report.count or happened
        (again,) = clean_up(engine_of, [read_database(options)], now=NOW)
        assert not again.changed
        if report.record:
            assert not undo(engine_of_record, report.record).left
        if not happened:
            assert database.dump() == before


@pytest.mark.parametrize(
    ("columns", "mistake", "message"),
    [
        ("id INTEGER PRIMARY KEY, status GENERATED ALWAYS AS ('processing'), updated_at", {}, "is a generated column"),
        ("a, b, status, updated_at, PRIMARY KEY (a, b)", {"id_column": ["a"]}, "is not unique. Set one of: a and b."),
        ("id PRIMARY KEY, status, updated_at", {"attempts_column": "tries"}, "has no column 'tries'"),
        ("id PRIMARY KEY, status, updated_at", {"reset_set": {"worker": None}}, "has no column 'worker'"),
        (
            "id PRIMARY KEY, status, updated_at, task AS (id)",
            {
                "celery": {
                    **{"app": "shop", "directory": "/nowhere", "python": "/nowhere/python"},
                    **{"task_id_column": "task", "unreachable": "ignore"},
                },
                "requeue": {"task": "make"},
            },
            "task_id_column: jobs.task is a generated column",
        ),
    ],
)
def test_an_error_about_the_schema_names_the_column(tmp_path, columns, mistake, message):
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"CREATE TABLE jobs ({columns})")
    options = {"name": "jobs", "path": str(path), "table": "jobs", "record_directory": str(tmp_path / "records")}
    (report,) = clean_up(engine_of, [read_database({**options, **mistake})])
    assert message in report.error


def test_generated_columns_can_hold_the_time_and_are_not_restored(tmp_path):
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TABLE jobs (id PRIMARY KEY, status, seconds, updated_at AS (datetime(seconds, 'unixepoch')))"
        )
        db.execute("INSERT INTO jobs VALUES (1, 'processing', 1768737600)")
        db.commit()
    before = snapshot(path)
    options = {"name": "jobs", "path": str(path), "table": "jobs", "record_directory": str(tmp_path / "records")}
    (report,) = clean_up(engine_of, [read_database({**options, "action": "delete"})])
    assert report.counts == {"jobs": {"delete": 1}}
    undo(engine_of_record, report.record)
    assert snapshot(path) == before
