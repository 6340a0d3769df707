"""Lets the unit tests import this checkout as ansible_collections.evenkeel.celery, as Ansible itself does."""

import importlib
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder
from clean_ups import any_database, app, we_are_system_user
from hypothesis import HealthCheck, settings
from in_process import Here
from postgresql import driver, postgresql, postgresql_server, quick_place

__all__ = ["any_database", "app", "driver", "postgresql", "postgresql_server", "we_are_system_user"]  # fixtures

# They run on the controller only, where Python is newer than on managed hosts.
collect_ignore = ["plugins/plugin_utils", "plugins/action"] if sys.version_info < (3, 10) else []
COLLECTIONS = Path(__file__).parents[2] / ".ansible" / "collections"

_AnsibleCollectionFinder(paths=[str(COLLECTIONS)])._install()

# Where tmp_path lies.
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", quick_place())

# A busy machine fails no property.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture
def jobs(tmp_path):
    """The options of a database with two stuck jobs and a completed one."""
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, updated_at TEXT)")
        db.executemany(
            "INSERT INTO jobs VALUES (?, ?, '2026-01-16 10:00:00')",
            [("77cfa3cd-1", "processing"), ("b49d06f6-2", "processing"), ("c0ffee00-3", "completed")],
        )
        db.commit()
    return {"name": "jobs", "path": str(path), "table": "jobs", "record_directory": str(tmp_path / "records")}


@pytest.fixture(scope="module")
def in_this_process():
    """Clean-ups do their work in the test's own process."""
    run = importlib.import_module("ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "Child", Here)
        yield
