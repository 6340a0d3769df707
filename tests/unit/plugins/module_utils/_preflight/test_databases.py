"""A Django application's databases: what the probe sees of them, and what that means."""

import errno
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import databases, probe_program
from workers import beat, worker


class Connection:
    def __init__(self, connect=lambda: None, vendor="postgresql", name="shop"):
        self.vendor, self.settings_dict = vendor, {"NAME": name}
        self.ensure_connection, self.close = connect, lambda: None


@pytest.fixture
def django(monkeypatch):
    """A Django application with these connections to its databases."""

    def has(**connections):
        engines = {alias: {"ENGINE": f"django.db.backends.{each.vendor}"} for alias, each in connections.items()}
        modules = {"django": {}, "django.conf": {"settings": SimpleNamespace(configured=True, DATABASES=engines)}}
        for name, content in {**modules, "django.db": {"connections": connections}}.items():
            module = ModuleType(name)
            vars(module).update(content)
            monkeypatch.setitem(sys.modules, name, module)

    return has


def refuse():
    raise ConnectionError("password authentication failed for user 'shop'\nDETAIL: …")


def test_an_application_without_django_has_none(monkeypatch):
    monkeypatch.delitem(sys.modules, "django.conf", raising=False)
    assert probe_program.databases(1) == []


def test_a_database_that_is_usable_is_not_mentioned(django):
    django(default=Connection(), dummy=Connection(refuse, "unknown"))
    assert probe_program.databases(1) == []


def test_one_that_refuses_and_one_that_does_not_answer_are_named(django):
    silent = threading.Event()
    django(default=Connection(refuse), replica=Connection(silent.wait))
    refused, late = probe_program.databases(0.2)
    silent.set()
    assert (refused["name"], refused["engine"], refused["state"]) == ("default", "postgresql", "unusable")
    assert refused["why"] == "ConnectionError: password authentication failed for user 'shop'"
    assert late["why"] == "no answer within 0.2 s"


@pytest.mark.parametrize(
    ("opened", "directory", "state"),
    [
        (None, True, "usable"),
        (None, False, "denied"),
        (errno.EROFS, True, "read_only"),
        (errno.EACCES, True, "denied"),
        (errno.ENOENT, True, "absent"),
    ],
)
def test_a_file_of_sqlite_is_only_opened(monkeypatch, tmp_path, opened, directory, state):
    file = tmp_path / "shop.db"
    file.write_bytes(b"")

    def open_file(_path, flags):
        assert not flags & probe_program.os.O_CREAT
        if opened:
            raise OSError(opened, "Reason")
        return 99

    monkeypatch.setattr(probe_program.os, "open", open_file)
    monkeypatch.setattr(probe_program.os, "close", lambda _descriptor: None)
    monkeypatch.setattr(probe_program.os, "access", lambda _path, _mode: directory)
    assert probe_program.look_at_file(str(file))[0] == state


@pytest.mark.parametrize("name", [":memory:", "file:memorydb_default?mode=memory&cache=shared"])
def test_a_database_in_memory_is_usable(name):
    assert probe_program.look_at_file(name) == ("usable", "")


def test_a_file_that_does_not_exist_is_not_created(django, tmp_path):
    django(default=Connection(vendor="sqlite", name=tmp_path / "shop.db"))
    (found,) = probe_program.databases(1)
    assert (found["state"], found["file"]) == ("absent", str(tmp_path / "shop.db"))
    assert not list(tmp_path.iterdir())


def about(state, name="default", file="/srv/shop/data/shop.db"):
    return {"name": name, "engine": "sqlite3", "state": state, "file": file, "why": "Reason."}


@pytest.mark.parametrize(
    ("database", "options", "sentence"),
    [
        (
            about("unusable"),
            {},
            "database 'default' (sqlite3) can't be used: Reason. Start it, or correct DATABASES in the application's"
            " settings.",
        ),
        (
            about("read_only"),
            {"writable_paths": ["/srv/shop/log"]},
            "database 'default': the sandbox makes /srv/shop/data/shop.db read-only. SQLite also writes files beside"
            " it, so add its directory to writable_paths: /srv/shop/data. If no task writes to it, set"
            " check_databases: false.",
        ),
        (
            about("read_only"),
            {"writable_paths": ["/srv/shop"]},
            "database 'default': /srv/shop/data/shop.db can't be written by user celery: Reason.",
        ),
        (about("denied"), {}, "database 'default': /srv/shop/data/shop.db can't be written by user celery: Reason."),
    ],
)
def test_what_keeps_tasks_from_their_database_is_an_error(database, options, sentence):
    (error,) = databases.errors(worker(**options), {"databases": [database]})
    assert error.startswith(sentence)
    assert not list(databases.warnings(worker(**options), {"databases": [database]}))


def test_a_database_that_may_be_meant_so_is_a_warning():
    found = {"databases": [about("absent"), about("denied", "map"), about("read_only", "more")]}
    assert not list(databases.errors(worker(), found))
    absent, denied, read_only = databases.warnings(worker(), found)
    assert absent.endswith("shop.db does not exist. Run manage.py migrate, or correct its NAME in DATABASES.")
    assert denied.startswith("database 'map': ")
    assert read_only.startswith("database 'more': the sandbox")


def test_a_beat_needs_a_database_only_if_its_schedule_is_there():
    found = {"databases": [about("read_only")], "scheduler": "celery.beat:PersistentScheduler"}
    assert not [*databases.errors(beat(), found), *databases.warnings(beat(), found)]
    assert list(databases.errors(beat(), {**found, "scheduler": "django_celery_beat.schedulers:DatabaseScheduler"}))
