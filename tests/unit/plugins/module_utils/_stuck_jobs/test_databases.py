"""An entry is of one kind of database, and what is wrong with it is said before anything is opened."""

from __future__ import annotations

import json
import os
import pwd

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.users import service_identity
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import environment
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    StuckJobsError,
    engine_of,
    engine_of_record,
    read_database,
    undo,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.databases import where
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.base import NotOwner
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql.engine import PostgreSQL
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.undo import _secrets
from in_process import Here

SQLITE = {"name": "jobs", "path": "/srv/jobs.db", "table": "jobs"}
POSTGRESQL = {"name": "jobs", "login_db": "shop", "system_user": "shop", "table": "jobs"}


@pytest.mark.parametrize(
    ("login", "kind", "place"),
    [
        ({"path": "/srv/jobs.db"}, "SQLite", "/srv/jobs.db"),
        ({"login_db": "shop"}, "PostgreSQL", "shop at the local socket"),
        ({"login_db": "shop", "login_host": "db", "login_port": 6432}, "PostgreSQL", "shop at db:6432"),
        ({"login_db": "shop", "login_unix_socket": "/run/pg"}, "PostgreSQL", "shop at /run/pg"),
        ({"service": "shop"}, "PostgreSQL", "service shop"),
        ({"environment_file": "/srv/.env"}, "PostgreSQL", "DATABASE_URL in /srv/.env"),
        ({"environment_file": "/srv/.env", "url_variable": "DB"}, "PostgreSQL", "DB in /srv/.env"),
        ({"environment_file": "/srv/.env", "login_db": "a"}, "PostgreSQL", "a at /srv/.env"),
    ],
)
def test_an_entry_is_of_the_kind_that_its_options_tell(login, kind, place):
    user = {} if kind == "SQLite" else {"system_user": "shop"}
    database = read_database({"name": "jobs", "table": "jobs", **user, **login})
    assert (engine_of(database).name, database.where, str(database)) == (kind, place, f"jobs ({place})")
    assert where({"name": "jobs", "table": "jobs", **user, **login}) == place


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"path": ""},
            "it is not said where the database is. Set one of: `path` for SQLite, `login_db` for PostgreSQL.",
        ),
        ({"login_db": "shop"}, "options of different kinds of databases are set. Set one of: `path` for SQLite,"),
        ({"system_user": "shop"}, "there is no option `system_user`."),
        ({"path": "jobs.db"}, "path 'jobs.db' is not an absolute path. Start it with '/'."),
    ],
)
def test_an_entry_of_no_kind_or_of_two_is_an_error(options, words):
    with pytest.raises(StuckJobsError) as error:
        read_database({**SQLITE, **options})
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"system_user": ""}, "`system_user` is required. Set it."),
        ({"system_user": "root"}, "system_user is root. Set the system user of the application."),
        (
            {"login_host": "db", "login_unix_socket": "/run"},
            "login_host and login_unix_socket are both set. Remove one",
        ),
        ({"login_port": 65536}, "login_port 65536 is not a port. Set a number from 1 to 65535."),
        ({"login_port": "5432"}, "login_port '5432' is not a port. Set a number from 1 to 65535."),
        ({"ssl_mode": "on"}, "ssl_mode 'on' is not one of disable, allow, prefer, require, verify-ca, verify-full."),
        ({"passfile": "pass"}, "passfile 'pass' is not an absolute path. Start it with '/'."),
        (
            {"password_variable": "PW"},
            "password_variable needs environment_file. Set it to the file with that variable.",
        ),
        ({"environment_file": "/srv/.env", "url_variable": ""}, "environment_file needs url_variable or"),
        ({"login_dbname": "x"}, "there is no option `login_dbname`. Did you mean 'login_db'?"),
    ],
)
def test_a_login_that_can_not_work_is_an_error(options, words):
    with pytest.raises(StuckJobsError) as error:
        read_database({**POSTGRESQL, **options})
    assert str(error.value).startswith("jobs: ")
    assert words in str(error.value)


def test_a_record_leads_back_to_its_database_and_holds_no_password():
    for options in (SQLITE, {**POSTGRESQL, "login_password": "hunter2", "login_port": 5433, "service": "x"}):
        database = read_database(options)
        assert "hunter2" not in repr(database) + str(database.login)
        again = engine_of_record({"name": "jobs", "database": database.where, "login": database.login}).database
        assert (again.where, again.login) == (database.where, database.login)
    assert engine_of_record({"name": "jobs", "database": "/srv/jobs.db"}).database.where == "/srv/jobs.db"


def test_a_record_has_an_option_that_is_empty_but_not_by_default():
    options = {**POSTGRESQL, "environment_file": "/srv/.env", "url_variable": "", "password_variable": "PW"}
    database = read_database(options)
    head = {"name": "jobs", "database": database.where, "login": database.login}
    assert engine_of_record(head).database.url_variable == ""


def test_a_forged_record_does_not_lead_a_secret_of_roots_elsewhere(tmp_path, monkeypatch):
    handed = []

    def connect(_self, _write, texts):
        handed.append(dict(texts))
        raise StuckJobsError("no connection")

    monkeypatch.setattr(f"{PostgreSQL.__module__.partition('.engines')[0]}.undo.Child", Here)
    monkeypatch.setattr(PostgreSQL, "connect", connect)
    monkeypatch.setattr(environment, "read_as_root", lambda path: b"DATABASE_URL=x" if path else None)
    me = pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(PostgreSQL, "owner", property(lambda _: service_identity(me)))
    ours = {**POSTGRESQL, "environment_file": "/etc/shop.env"}
    database = read_database(ours)
    for forged in ({}, {"login_host": "evil.example"}, {"url_variable": "ADMIN_URL"}):
        head = {"name": "jobs", "database": "x", "login": {**database.login, **forged}}
        (tmp_path / "record.jsonl").write_text(json.dumps(head) + "\n")
        with pytest.raises(StuckJobsError, match="no connection"):
            undo(engine_of_record, str(tmp_path / "record.jsonl"), known=[engine_of(database)])
    assert handed == [{"/etc/shop.env": b"DATABASE_URL=x"}, {}, {}]


def test_another_projects_user_that_is_gone_stops_no_undo():
    gone = engine_of(read_database({**POSTGRESQL, "environment_file": "/etc/x.env", "system_user": "no-shop"}))
    assert list(_secrets([gone], service_identity("nobody"))) == []


def test_a_database_of_postgresql_is_its_system_users(monkeypatch):
    of_nobody = engine_of(read_database({**POSTGRESQL, "system_user": "nobody"}))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert of_nobody.owner.name == "nobody"
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(NotOwner, match=r"is cleaned up by nobody. Run this as nobody or as root\."):
        _owner = of_nobody.owner
    with pytest.raises(StuckJobsError, match=r"system_user 'no-shop' does not exist on this host\. Set that of the"):
        _owner = engine_of(read_database({**POSTGRESQL, "system_user": "no-shop"})).owner
