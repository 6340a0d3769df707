"""How the server is found and logged in to, and that no password is told."""

from __future__ import annotations

import socket
import sys

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import StuckJobsError, read_database
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql.login import parameters
from postgresql import PASSWORD

FILE = "/etc/shop.env"
OURS = {"connect_timeout": "30", "client_encoding": "UTF8", "application_name": "evenkeel job_cleanup"}


def found(text=None, **options):
    """libpq's parameters, without those that are always the same."""
    if text is not None:
        options.setdefault("environment_file", FILE)
    database = read_database({"name": "jobs", "table": "jobs", "system_user": "shop", **options})
    got = parameters(database, {FILE: (text or "").encode()})
    assert got.items() >= OURS.items()
    return {name: value for name, value in got.items() if name not in OURS}


def test_options_are_libpqs_parameters():
    assert found(login_db="shop") == {"dbname": "shop", "user": "shop"}
    assert found(login_db="shop", login_unix_socket="/run/pg", login_user="web", login_port=5433) == {
        **{"dbname": "shop", "host": "/run/pg", "user": "web", "port": "5433"}
    }
    assert found(login_db="shop", login_host="db1", ssl_mode="verify-full", ca_cert="/etc/ca.pem") == {
        **{"dbname": "shop", "host": "db1", "user": "shop", "sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"}
    }
    assert found(service="shop") == {"service": "shop"}, "which says as whom"


@pytest.mark.parametrize(
    ("url", "parameters"),
    [
        ("postgres://web:secret@db1:5433/shop", {"host": "db1", "port": "5433"}),
        ("postgresql+psycopg2://web:secret@db1/shop", {"host": "db1"}),
        ("psql://web:secret@/shop", {}),
        ("pgsql://web:secret@%2Frun%2Fpostgresql/shop", {"host": "/run/postgresql"}),
        ("postgresql+psycopg://web:secret@/shop?host=/run/postgresql", {"host": "/run/postgresql"}),
        ("postgis://web:secret@db1/shop?conn_max_age=600&sslmode=require", {"host": "db1", "sslmode": "require"}),
        ("postgresql://web:secret@db1,db2:5433/shop", {"host": "db1,db2", "port": ",5433"}),
        ("postgresql://web:secret@[::1]:5433/shop", {"host": "::1", "port": "5433"}),
        ("postgresql://web:secret@db1/shop?application_name=x@y", {"host": "db1"}),
        ("postgresql://db1:5433/shop?user=web&password=secret", {"host": "db1", "port": "5433"}),
        ("postgresql://web:secret@db1/shop?options=-c+a%20b", {"host": "db1", "options": "-c+a b"}),
        ("postgresql://web:secret@db1/shop?ssl=true", {"host": "db1", "sslmode": "require"}),
        ("postgresql+asyncpg://web:secret@db1/shop?ssl=verify-full", {"host": "db1", "sslmode": "verify-full"}),
        ("postgresql://web:secret@db1/shop?ssl=true&sslmode=verify-ca", {"host": "db1", "sslmode": "verify-ca"}),
    ],
)
def test_a_url_is_read_as_frameworks_write_it(url, parameters):
    expected = {"user": "web", "password": "secret", "dbname": "shop", **parameters}
    assert found(f"DATABASE_URL={url}\n") == expected


@pytest.mark.parametrize("query", ["", "?sslmode=require", "?application_name=x@y"])
@pytest.mark.parametrize("host", ["db1", "db1:5433", "[::1]:5433", "db1,db2"])
@pytest.mark.parametrize(
    ("written", "password"),
    [
        *[("p%40ss%2F", "p@ss/"), ("%C3%A4", "ä"), ("a+b", "a+b"), ("a:b", "a:b"), ("p@ss", "p@ss")],
        *[("p@ss/w:rd", "p@ss/w:rd"), ("1/2", "1/2"), ("a#b", "a#b"), ("/", "/"), ("@", "@")],
    ],
)
def test_a_password_may_contain_any_character(written, password, host, query):
    got = found(f"DATABASE_URL='postgres://web:{written}@{host}/shop{query}'")
    assert (got["user"], got["password"], got["dbname"]) == ("web", password, "shop")
    assert got["host"] == {"[::1]:5433": "::1", "db1,db2": "db1,db2"}.get(host, "db1")
    assert got.get("sslmode") == ("require" if "sslmode" in query else None)


@pytest.mark.parametrize("password", ["a?b", "1?b", "p@ss?x", "a?b/c"])
def test_a_password_may_contain_a_question_mark(password):
    got = found(f"DATABASE_URL='postgres://web:{password}@db1/shop'")
    assert (got["user"], got["password"], got["host"], got["dbname"]) == ("web", password, "db1", "shop")


def test_an_at_sign_in_a_parameter_ends_no_password():
    got = found("DATABASE_URL='postgresql://db1:5432/shop?user=web&password=se@cret'")
    assert got == {"host": "db1", "port": "5432", "dbname": "shop", "user": "web", "password": "se@cret"}


def test_a_service_of_the_url_says_as_whom():
    assert found("DATABASE_URL=postgresql:///?service=main") == {"service": "main"}


def test_an_unknown_way_to_encrypt_is_an_error_that_an_option_mends():
    url = "DATABASE_URL=postgresql://web:secret@db1/shop?ssl=on"
    with pytest.raises(
        StuckJobsError, match=r"has a parameter ssl that is neither true nor one of disable, .*ssl_mode"
    ):
        found(url)
    assert found(url, ssl_mode="require")["sslmode"] == "require"


def test_options_go_before_the_url_and_a_password_may_have_a_variable_of_its_own():
    text = "URL=postgres://web:secret@db1/shop\nPGPASS=other\n"
    options = {"url_variable": "URL", "password_variable": "PGPASS", "login_db": "copy", "login_user": "cleaner"}
    assert found(text, **options) == {"host": "db1", "user": "cleaner", "password": "other", "dbname": "copy"}


@pytest.mark.parametrize(
    "url", ["mysql://web:secret@db1/shop", "postgres://web:secret@db1:secret/shop", "host=db1 password=secret"]
)
def test_an_error_in_a_url_shows_nothing_of_it(url):
    with pytest.raises(StuckJobsError, match=r"DATABASE_URL in /etc/shop\.env is not a URL of PostgreSQL") as error:
        found(f'DATABASE_URL="{url}"')
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "/etc/shop.env has no variable DATABASE_URL. Set url_variable"),
        ({"login_db": "shop", "password_variable": "PW"}, "/etc/shop.env has no variable PW. Set password_variable"),
    ],
)
def test_a_variable_that_is_missing_is_named(options, error):
    with pytest.raises(StuckJobsError, match=error):
        found("OTHER=1", **options)


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        (0o640, "has the mode 0640, which lets others read it, so libpq ignores it"),
        (None, "can't be read: No such file"),
    ],
)
def test_a_password_file_that_libpq_would_ignore_is_an_error(tmp_path, mode, error):
    file = tmp_path / "pgpass"
    if mode:
        file.touch(mode)
        file.chmod(mode)
    with pytest.raises(StuckJobsError, match=error):
        found(login_db="shop", passfile=str(file))


# With a server


@pytest.fixture
def guarded(app, tmp_path, postgresql):
    """A table of the role that needs a password."""
    app.login["login_user"] = "guarded"
    postgresql.sql("CREATE TABLE jobs (id integer PRIMARY KEY, status text, updated_at timestamptz)", user="postgres")
    postgresql.sql("ALTER TABLE jobs OWNER TO guarded", user="postgres")
    return app


def in_a_variable(environment):
    return {"environment_file": str(environment), "url_variable": "", "password_variable": "PASSWORD"}


def test_a_password_comes_from_a_file_of_libpq_or_of_the_application(guarded, tmp_path, driver):
    passfile, environment = tmp_path / "pgpass", tmp_path / "shop.env"
    passfile.touch(0o600)
    passfile.write_text(f"*:*:*:guarded:{PASSWORD}\n")
    environment.write_text(f"PASSWORD='{PASSWORD}'\n")
    assert guarded.run(passfile=str(passfile)).error == ""
    assert guarded.run(**in_a_variable(environment)).error == ""


def test_an_error_tells_no_password(guarded, tmp_path, driver):
    environment = tmp_path / "shop.env"
    environment.write_text("PASSWORD='open sesame'\n")
    error = guarded.run(**in_a_variable(environment)).error
    assert 'password authentication failed for user "guarded"' in error
    assert "open sesame" not in error
    assert "\n" not in error


def test_the_environment_of_whoever_starts_a_run_has_no_say(app, monkeypatch):
    app.sql("CREATE TABLE jobs (id integer PRIMARY KEY, status text, updated_at timestamptz)")
    for name, value in {"PGPASSWORD": PASSWORD, "PGOPTIONS": "-c nonsense=1", "PGSERVICE": "nowhere"}.items():
        monkeypatch.setenv(name, value)
    assert app.run().error == ""
    assert "no password supplied" in app.run(login_user="guarded").error


def test_a_server_that_is_not_there_is_an_error(app, tmp_path):
    error = app.run(login_unix_socket=str(tmp_path)).error
    assert "no connection: " in error
    assert (
        error.endswith("Correct the login, or start the server. Nothing was changed.") or "start the server." in error
    )


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(app):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        login = {"login_host": "127.0.0.1", "login_port": silent.getsockname()[1], "login_unix_socket": ""}
        assert "timeout expired" in app.run(busy_timeout=0.1, **login).error


def test_without_a_driver_its_packages_are_named(app, monkeypatch):
    for name in ("psycopg", "psycopg2"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "Install python3-psycopg or python3-psycopg2." in app.run().error


def test_root_is_no_system_user_whatever_its_name(monkeypatch):
    api = "ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql.engine"
    engine = sys.modules[api]
    monkeypatch.setattr(engine, "service_identity", lambda user: engine.Identity(0, 0))
    database = read_database({"name": "jobs", "table": "jobs", "system_user": "toor", "login_db": "shop"})
    with pytest.raises(StuckJobsError, match="toor is root"):
        engine.PostgreSQL(database).owner  # noqa: B018
