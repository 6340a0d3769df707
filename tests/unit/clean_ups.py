"""Databases of a test's own, of each kind that has an engine, and clean-ups of them.

def test_something(app):                PostgreSQL; the test's user is the application's system user
    app.sql("CREATE TABLE jobs …")      the rows of a statement, or several statements
    app.run(table="jobs")               the report of a clean-up with these options of a database
    app.undo(report)

def test_of_all_engines(any_database):  the same for SQLite and PostgreSQL, one after the other
"""

import importlib
import os
import sqlite3
from contextlib import closing
from types import MappingProxyType

import pytest

STUCK_JOBS = "ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs"
KINDS = ["sqlite-wal", "sqlite-delete", "postgresql"]


class Database:
    """Bypasses the engine, except to clean up."""

    words = MappingProxyType({})  # of its SQL, for what other kinds write in another way

    def __init__(self, directory):
        self.api = importlib.import_module(f"{STUCK_JOBS}.api")
        self.records = directory / "records"

    def options(self, **more):
        options = {"name": "jobs", "table": "jobs", "record_directory": str(self.records)}
        return {**self.login, **options, **more}

    def run(self, dry_run=False, now=None, **more):
        database = self.api.read_database(self.options(**more))
        (report,) = self.api.clean_up(self.api.engine_of, [database], dry_run=dry_run, now=now)
        return report

    def undo(self, report, dry_run=False):
        return self.api.undo(self.api.engine_of_record, report.record, dry_run=dry_run)

    def rows(self, table="jobs", order="id"):
        return self.sql(f"SELECT * FROM {table} ORDER BY {order}")

    @property
    def where(self):
        """As messages name it."""
        return self.api.read_database(self.options()).where


class SQLite(Database):
    words = MappingProxyType({"serial": "INTEGER", "bytes": "BLOB", "time": "TEXT"})

    def __init__(self, directory, journal="wal"):
        super().__init__(directory)
        self.path = directory / "jobs.db"
        self.login = {"path": str(self.path)}
        self.sql(f"PRAGMA journal_mode = {journal}")

    def connect(self):
        return sqlite3.connect(self.path, isolation_level=None)

    def sql(self, query):
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=30)) as db:
            if ";" not in query.strip().rstrip(";"):
                return db.execute(query).fetchall()
            return db.executescript(query).fetchall()

    sql_without_foreign_keys = sql

    def dump(self):
        with closing(sqlite3.connect(self.path)) as db:
            return sorted(db.iterdump())

    def is_intact(self):
        return self.sql("PRAGMA integrity_check") == [("ok",)]

    def time(self, seconds):
        return repr(seconds)

    def bytes(self, value):
        return f"x'{value.hex()}'"


class PostgreSQL(Database):
    words = MappingProxyType({"serial": "serial", "bytes": "bytea", "time": "timestamptz"})

    def __init__(self, directory, postgresql):
        super().__init__(directory)
        self.sql, self.connect = postgresql.sql, postgresql.connect
        self.login = {**postgresql.login, "system_user": "app"}

    def sql_without_foreign_keys(self, query):
        self.sql(f"SET session_replication_role = replica; {query}", user="postgres")

    def dump(self):
        tables = self.sql(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE tableowner = 'app' ORDER BY 1"
        )
        return [(table, self.sql(f"SELECT t::text FROM {table} t ORDER BY 1")) for (table,) in tables]

    def is_intact(self):
        return True  # what was committed is the server's matter

    def time(self, seconds):
        return f"to_timestamp({seconds!r})"

    def bytes(self, value):
        return rf"'\x{value.hex()}'"


@pytest.fixture
def we_are_system_user(monkeypatch):
    """The user of the test is the system user of every application, even if that is root."""
    users = importlib.import_module(f"{STUCK_JOBS.rpartition('.')[0]}._common.users")
    engine = importlib.import_module(f"{STUCK_JOBS}.engines.postgresql.engine")
    monkeypatch.setattr(engine.PostgreSQL, "owner", users.owner_identity(os.geteuid(), os.getegid()))


@pytest.fixture
def app(postgresql, tmp_path, we_are_system_user):
    return PostgreSQL(tmp_path, postgresql)


@pytest.fixture(params=KINDS)
def any_database(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("app")
    return SQLite(tmp_path, request.param.partition("-")[2])
