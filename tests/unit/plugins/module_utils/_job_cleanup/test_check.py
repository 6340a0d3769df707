"""Errors are found before anything is changed, all of them at once."""

from __future__ import annotations

import getpass
import sqlite3
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup import check

ME = getpass.getuser()


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "jobs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT, updated_at TEXT)")
    return {"name": "jobs", "path": str(path), "table": "jobs"}


def errors(databases, once=(), cron_user=None):
    return list(check.errors(databases, once, cron_user))


def test_correct_options_have_no_errors(database):
    assert errors([database], [{**database, "action": "delete"}], ME) == []
    assert errors([], cron_user="root") == []


def test_all_errors_are_listed(database):
    twice = {**database, "table": "jbos"}
    same_name, no_table = errors([database, twice])
    assert same_name == "databases: name 'jobs' is used by 2 databases. Set a different one for each."
    assert "jbos" in no_table


def test_a_clean_up_of_an_unknown_database_is_an_error_that_names_the_nearest(database):
    (error,) = errors([database], [{"name": "jbos"}])
    assert error == "once: there is no database 'jbos'. Did you mean 'jobs'?"


def test_a_clean_up_that_does_not_fit_its_database_is_an_error(database):
    (error,) = errors([database], [{**database, "stuck_statuses": []}])
    assert "stuck_statuses" in error


def test_a_password_does_not_get_into_the_configuration():
    entry = {"name": "jobs", "login_db": "shop", "system_user": "nobody", "table": "jobs", "login_password": "hunter2"}
    error = errors([entry])[0]
    assert error.startswith("jobs: login_password would stand in /etc/evenkeel, where every user can read it.")
    assert "hunter2" not in error


@pytest.mark.parametrize("cron_user", ["", ME, "root", None])
def test_cron_has_to_be_able_to_read_a_service_s_environment(database, cron_user):
    celery = {"app": "shop", "directory": "/srv", "python": "/bin/python3"}
    service = {**database, "celery": {**celery, "environment_file": "/etc/evenkeel/shop.env"}}
    own = {**database, "celery": {**celery, "environment_file": database["path"]}}
    words = "jobs: celery: only root can read environment_file /etc/evenkeel/shop.env"
    found = [error for error in errors([service], cron_user=cron_user) if words in error]
    assert len(found) == (cron_user not in ("root", None))
    Path(database["path"]).chmod(0o644)
    assert not [error for error in errors([own], cron_user=cron_user) if "environment_file" in error]


@pytest.mark.parametrize(
    ("cron_user", "owners", "words"),
    [
        ("", ["app"], ["cron_user is empty, but the databases belong to app. Set root"] if ME != "app" else []),
        ("", ["nobody"], []),
        ("", ["root"], ["cron_user is empty, but the databases belong to root. Set root if cron is to run as root"]),
        ("", [], []),
        ("", ["1005"], ["belong to 1005. Set root"]),
        ("root", ["app", "shop"], []),
        (ME, [ME], []),
        ("", ["app", "shop"], ["cron_user is empty, but the databases belong to app, shop. Set root"]),
        (ME, ["app"], [f"cron_user is {ME}, but the databases belong to app."] if ME != "root" else []),
        ("nobody", ["app", "nobody"], ["cron_user is nobody, but the databases belong to app, nobody."]),
        ("no-such-user", [], ["user 'no-such-user' does not exist"]),
    ],
)
def test_cron_s_user_has_to_be_able_to_write_all_databases(cron_user, owners, words):
    found = list(check.cron_user_errors(cron_user, owners))
    assert len(found) == len(words)
    assert all(word in error for word, error in zip(words, found))
