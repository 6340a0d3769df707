"""Clean-ups of a test's own PostgreSQL database.

def test_something(app):            app is its application, whose system user is the test's
    app.sql("CREATE TABLE jobs …")
    report = app.run(table="jobs")  with the options of a database
    app.undo(report)
"""

import importlib
import os

import pytest

STUCK_JOBS = "ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs"


class App:
    def __init__(self, postgresql, directory):
        self.api = importlib.import_module(f"{STUCK_JOBS}.api")
        self.sql, self.connect = postgresql.sql, postgresql.connect
        self.login = {**postgresql.login, "system_user": "app"}
        self._records = directory / "records"

    def options(self, **more):
        options = {"name": "jobs", "table": "jobs", "record_directory": str(self._records)}
        return {**self.login, **options, **more}

    def run(self, dry_run=False, now=None, **more):
        (report,) = self.api.clean_up(
            self.api.engine_of, [self.api.read_database(self.options(**more))], dry_run=dry_run, now=now
        )
        return report

    def undo(self, report):
        return self.api.undo(self.api.engine_of_record, report.record)

    def rows(self, table="jobs", order="id"):
        return self.sql(f"SELECT * FROM {table} ORDER BY {order}")


@pytest.fixture
def we_are_system_user(monkeypatch):
    """The user of the test is the system user of every application, even if that is root."""
    users = importlib.import_module(f"{STUCK_JOBS.rpartition('.')[0]}._common.users")
    engine = importlib.import_module(f"{STUCK_JOBS}.engines.postgresql.engine")
    us = users.owner_identity(os.geteuid(), os.getegid())
    monkeypatch.setattr(engine.PostgreSQL, "owner", us)


@pytest.fixture
def app(postgresql, tmp_path, we_are_system_user):
    return App(postgresql, tmp_path)
