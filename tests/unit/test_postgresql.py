"""The server that tests of PostgreSQL use."""

import importlib

import psycopg
import pytest
from postgresql import PASSWORD


def test_each_test_has_a_database_that_belongs_to_the_application(postgresql):
    postgresql.sql("CREATE TABLE jobs (id bigint)")
    assert postgresql.sql("SELECT current_user, count(*) FROM jobs WHERE id = %s", 3) == [("app", 0)]


def test_the_next_one_has_another(postgresql):
    assert postgresql.sql("SELECT to_regclass('jobs'), current_user", user="postgres") == [(None, "postgres")]


def test_only_one_driver_can_be_imported(driver):
    other = {"psycopg": "psycopg2", "psycopg2": "psycopg"}[driver]
    importlib.import_module(driver)
    with pytest.raises(ImportError):
        importlib.import_module(other)


def test_one_role_needs_a_password(postgresql):
    where = {"host": postgresql.login["login_unix_socket"], "dbname": postgresql.login["login_db"], "user": "guarded"}
    psycopg.connect(**where, password=PASSWORD).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**where, password=PASSWORD.upper())
