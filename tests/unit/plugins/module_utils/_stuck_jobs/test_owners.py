"""Root's clean-up of databases whose owners are not to be trusted, and of those of others beside them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import work
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    StuckJobsError,
    clean_up,
    engine_of,
    engine_of_record,
    read_database,
    undo,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite.access import owner_of
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite.engine import SQLite

APP, MALLORY = 65534, 65533
REAL = Path(sys.executable).resolve()
# An interpreter that anybody can run: one that root built at home is not.
PYTHON = sys.executable if all(part.stat().st_mode & 1 for part in (REAL, *REAL.parents)) else "/usr/bin/python3"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users")


@pytest.fixture
def srv():
    """app/jobs.db and mallory/jobs.db, each with a stuck job; and prey, where code of theirs can leave traces."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    for name, user in (("app", APP), ("mallory", MALLORY)):
        (directory / name).mkdir()
        with closing(sqlite3.connect(directory / name / "jobs.db")) as db:
            db.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, updated_at TEXT)")
            db.execute("INSERT INTO jobs VALUES ('j', 'processing', '2026-01-18 12:00')")
            db.commit()
        give(directory / name, user)
        give(directory / name / "jobs.db", user)
    (directory / "prey").mkdir()
    (directory / "prey").chmod(0o777)
    yield directory
    shutil.rmtree(directory)


def give(path, user):
    os.chown(path, user, user, follow_symlinks=False)


def options(srv, user, **more):
    return {
        **{"name": user, "path": str(srv / user / "jobs.db"), "table": "jobs", "busy_timeout": 1},
        **{"record_directory": str(srv / "records"), **more},
    }


def go(srv, *differences, **more):
    databases = [options(srv, "app", **each) for each in differences or ({},)] + [options(srv, "mallory")]
    return clean_up(engine_of, map(read_database, databases), **more)


def status(srv, user):
    with closing(sqlite3.connect(srv / user / "jobs.db")) as db:
        return db.execute("SELECT status FROM jobs").fetchone()[0]


def sql(srv, statement):
    with closing(sqlite3.connect(srv / "app/jobs.db", isolation_level=None)) as db:
        db.execute(statement)


def test_each_database_is_cleaned_up_by_its_owner_and_recorded_for_it(srv):
    app, mallory = go(srv)
    assert (app.error, mallory.error) == ("", "")
    assert (status(srv, "app"), status(srv, "mallory")) == ("pending", "pending")
    for report, user in ((app, APP), (mallory, MALLORY)):
        record = Path(report.record)
        assert (record.stat().st_uid, record.parent.stat().st_uid) == (user, user)
        assert record.parent.parent == srv / "records"
        assert undo(engine_of_record, report.record).back == 1
    assert (status(srv, "app"), status(srv, "mallory")) == ("processing", "processing")


# What the owner of a database can do to a run. Each is a statement, or a function of the directory.
ENDLESS = (
    "CREATE TRIGGER t AFTER UPDATE ON jobs BEGIN SELECT raise(IGNORE)"
    " WHERE (WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n) = 0; END"
)


def fifo(name):
    def make(srv):
        os.mkfifo(srv / name)

    return make


def records_of_app(srv):
    directory = srv / "records" / "nobody"
    directory.mkdir(parents=True)
    give(directory, APP)
    return directory


def sparse(srv):
    path = records_of_app(srv) / "app-20260101T000000Z-x.jsonl.part"
    path.touch()
    os.truncate(path, 2**40)


def database_as_fifo(srv):
    (srv / "app/jobs.db").unlink()
    os.mkfifo(srv / "app/jobs.db")


FAULTS = {
    "an endless trigger": (ENDLESS, "not finished after 0.4 s"),
    "a trigger that wants all memory": (
        "CREATE TRIGGER t AFTER UPDATE ON jobs BEGIN SELECT hex(zeroblob(900000000)); END",
        "",
    ),
    "the database as a FIFO": (database_as_fifo, "not a regular file"),
    "a FIFO as the journal": (fifo("app/jobs.db-journal"), "not a regular file"),
    "a FIFO as the WAL": (fifo("app/jobs.db-wal"), "not a regular file"),
    "a FIFO as a record": (
        lambda srv: os.mkfifo(records_of_app(srv) / "app-20260101T000000Z-x.jsonl.part"),
        "not a regular file",
    ),
    "a FIFO as the lock": (lambda srv: os.mkfifo(records_of_app(srv) / "app.lock"), ""),
    "a record of a tebibyte": (sparse, "is no record of ours"),
    "a file that is no database": (lambda srv: (srv / "app/jobs.db").write_bytes(b"x" * 9999), "not a database"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_owner_of_one_database_can_not_keep_others_from_being_cleaned_up(srv, monkeypatch, fault):
    monkeypatch.setattr("ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.run.GRACE", 0.1)
    make, message = FAULTS[fault]
    make(srv) if callable(make) else sql(srv, make)
    begun = time.monotonic()
    app, mallory = go(srv, {"time_limit": 0.4, "memory_limit": "100M"})
    assert time.monotonic() - begun < 5
    assert message in app.error
    assert app.error
    assert (mallory.error, status(srv, "mallory")) == ("", "pending")


def test_a_file_system_that_hangs_keeps_no_other_database_from_being_cleaned_up(srv, monkeypatch):
    def owner(engine):
        if engine.database.name == "app":
            time.sleep(60)
        return owner_of(engine.database)

    monkeypatch.setattr("ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.run.PREPARING", 0.2)
    monkeypatch.setattr(SQLite, "owner", property(owner))
    app, mallory = go(srv)
    assert "its file system did not answer within 0.2 s" in app.error
    assert not mallory.error


def test_without_a_further_process_the_run_ends_with_an_error(srv, monkeypatch):
    def fork():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    assert all("Resource temporarily unavailable" in report.error for report in go(srv))


def test_after_a_database_that_hangs_its_owners_other_ones_are_cleaned_up(srv, monkeypatch):
    monkeypatch.setattr("ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.run.GRACE", 0.1)
    sql(srv, ENDLESS)
    shutil.copy(srv / "app/jobs.db", srv / "app/more.db")
    give(srv / "app/more.db", APP)
    hung, other, mallory = go(
        srv, {"time_limit": 0.4}, {"path": str(srv / "app/more.db"), "name": "more", "action": "delete"}
    )
    assert "not finished after 0.4 s, so it was ended." in hung.error
    assert "Nothing was changed" not in hung.sentence(), "that is not known"
    assert other.counts == {"jobs": {"delete": 1}}
    assert not mallory.error


def test_a_run_that_takes_too_long_ends_by_itself_and_the_next_goes_on(srv, monkeypatch):
    with closing(sqlite3.connect(srv / "app/jobs.db")) as db:
        rows = ((f"j{number}", "processing", "2026-01-18 12:00") for number in range(500))
        db.executemany("INSERT INTO jobs VALUES (?, ?, ?)", rows)
        db.commit()
    write = work._Run._write
    with monkeypatch.context() as patch:
        patch.setattr(work._Run, "_write", lambda run, batch: (write(run, batch), time.sleep(0.2)))
        app, _mallory = go(srv, {"time_limit": 0.3})
    assert "app: not finished after" not in app.sentence()
    assert "not finished after 0.3 s. The next run goes on." in app.error
    done = app.count
    assert 0 < done < 501
    assert f"Before that: {done} in jobs reset to pending" in app.sentence()
    assert Path(app.record).suffix == ".jsonl"
    app, _mallory = go(srv)
    assert (app.error, app.count) == ("", 501 - done)


HELPERS = {
    "it floods its answers": "while True: os.write(PIPE, b'x' * 65536)",
    "it floods its log": "while True: os.write(2, b'x' * 65536)",
    "it says nothing": "time.sleep(300)",
    "it closes everything": "os.closerange(0, 99); time.sleep(300)",
    "it crashes": "os.kill(os.getpid(), 11)",
    "it kills its parent": "os.kill(os.getppid(), 9); time.sleep(300)",
    "it stops its parent": "os.kill(os.getppid(), 19); time.sleep(300)",
    "it answers with what is no text": "os.write(PIPE, b'\\xff\\xfe\\n'); time.sleep(300)",
    "its error has a NUL and a surrogate": "raise Exception('a\\0b' + chr(0xd800))",
}
APPLICATION = """
import os, sys, time
PIPE = max(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}"))
"""


def application(srv, code):
    """An application of app's, with a simulated Celery."""
    for directory in ("app/celery", "app/celery/app"):
        (srv / directory).mkdir()
        (srv / directory / "__init__.py").touch()
    (srv / "app/celery/app/utils.py").write_text(APPLICATION + code)
    return {"app": "shop", "directory": str(srv / "app"), "python": PYTHON, "timeout": 0.1, "unreachable": "ignore"}


@pytest.mark.parametrize("helper", HELPERS)
def test_an_application_can_not_keep_other_databases_from_being_cleaned_up(srv, monkeypatch, helper):
    monkeypatch.setattr("ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.run.GRACE", 0.1)
    celery = application(srv, HELPERS[helper])
    begun = time.monotonic()
    _app, mallory = go(srv, {"celery": celery, "time_limit": 2})
    assert time.monotonic() - begun < 8
    assert (mallory.error, status(srv, "mallory")) == ("", "pending")


TELL = """
import json, pathlib
ids = [*os.getresuid(), *os.getresgid(), *os.getgroups()]
descriptors = [path.name for path in pathlib.Path("/proc/self/fd").iterdir() if path.exists()]
pathlib.Path({!r}).write_text(json.dumps([ids, dict(os.environ), descriptors]))
"""


def test_the_application_is_its_user_in_every_way_and_knows_nothing_of_roots(srv, monkeypatch):
    monkeypatch.setenv("VAULT_SECRET", "treacle")
    told = srv / "prey/told"
    code = TELL.format(str(told))
    (srv / "roots.env").write_text("SECRET=word\n")
    (srv / "roots.env").chmod(0o600)
    celery = {**application(srv, code), "environment_file": str(srv / "roots.env")}
    go(srv, {"celery": celery})
    ids, variables, descriptors = json.loads(told.read_text())
    assert ids == [APP] * 7
    assert variables.pop("SECRET") == "word"
    ours = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "PYTHONDONTWRITEBYTECODE", "LC_CTYPE"}
    assert set(variables) <= ours, "nothing of root's environment"
    assert len(descriptors) <= 6, "stdin, stdout, stderr, the answers, and those of this very question"


@pytest.mark.parametrize("way", ["file", "link", "directory", "root's link to a link"])
def test_root_reads_no_environment_file_that_another_user_has_put_there(srv, way):
    file, told = srv / "roots.env", srv / "prey/told"
    file.write_text("SECRET=word\n")
    file.chmod(0o600)
    if way == "file":
        give(file, MALLORY)
    elif way == "directory":
        (srv / "app/link").symlink_to(srv)
        file = srv / "app/link/roots.env"
    else:
        (srv / "app/link").symlink_to(file)
        file = srv / "app/link"
        if way == "root's link to a link":
            (srv / "link").symlink_to(file)
            file = srv / "link"
    celery = application(srv, f"open({str(told)!r}, 'w').write(repr(dict(os.environ)))")
    app, _mallory = go(srv, {"celery": {**celery, "environment_file": str(file)}})
    assert "environment_file can't be read" in app.error
    assert not told.exists(), "the application was started without its environment"


def test_an_application_of_roots_database_has_to_be_roots(srv):
    celery = application(srv, "")
    give(srv / "app/jobs.db", 0)
    for file in (srv / "app").rglob("*"):
        give(file, 0)
    for owner, message in ((APP, "on the way to it belongs to nobody"), (0, "")):
        give(srv / "app", owner)
        app, _mallory = go(srv, {"celery": celery})
        assert message in app.error
    give(srv / "app/celery", APP)
    (srv / "python").symlink_to(srv / "app/python")
    celery = {**celery, "directory": str(srv / "app/celery")}
    app, _mallory = go(srv, {"celery": celery})
    assert "belongs to root, so root would import shop, but others can change" in app.error


# Records


def test_root_makes_no_directory_of_records_where_another_user_leads_it(srv):
    (srv / "target").mkdir()
    (srv / "app/records").symlink_to(srv / "target")
    give(srv / "app/records", APP)
    app, _mallory = go(srv, {"record_directory": str(srv / "app/records")})
    assert "can't be made" in app.error
    assert list((srv / "target").iterdir()) == []
    (srv / "app/records").unlink()
    app, _mallory = go(srv, {"record_directory": str(srv / "app/records")})
    assert app.error == ""
    assert (srv / "app/records/nobody").stat().st_uid == APP


def forged(srv, database, **more):
    record = srv / "app/record.jsonl"
    head = {"database": str(database), "name": "jobs", "at": "x", **more}
    shape = {"shape": 0, "table": "jobs", "action": "reset", "id": ["id"], "read": ["id", "status"], "set": ["status"]}
    lines = [head, shape, {"rows": [[0, 0, ["j", "stolen"], ["processing"]]]}, {"done": True, "left": []}]
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    give(record, APP)
    return record


def test_a_record_that_the_owner_has_written_changes_only_the_owners_database(srv):
    assert undo(engine_of_record, str(forged(srv, srv / "app/jobs.db"))).back == 1
    assert status(srv, "app") == "stolen"
    (srv / "app/link.db").symlink_to(srv / "mallory/jobs.db")
    (srv / "app/link").symlink_to(srv / "mallory")
    for path in ("mallory/jobs.db", "app/link.db", "app/link/jobs.db", "app/link/../mallory/jobs.db"):
        with pytest.raises(StuckJobsError, match="belongs to nobody, who does not own"):
            undo(engine_of_record, str(forged(srv, srv / path)))
    assert status(srv, "mallory") == "processing"


@pytest.mark.parametrize("database", ["/etc/shadow", "/proc/self/fd/3", "srv/jobs.db", "/x\0y", "/"])
def test_a_record_of_what_is_no_database_is_an_error(srv, database):
    with pytest.raises(StuckJobsError):
        undo(engine_of_record, str(forged(srv, database)))


def test_a_name_in_a_record_forges_no_line(srv):
    with pytest.raises(StuckJobsError, match="is not a record of a run"):
        undo(engine_of_record, str(forged(srv, srv / "app/jobs.db", name="other: 500 rows deleted\n")))


@pytest.mark.parametrize("what", ["a FIFO", "a tebibyte", "deep JSON", "root's", "a link"])
def test_a_file_that_is_no_record_is_an_error_at_once(srv, what):
    record = forged(srv, srv / "app/jobs.db")
    if what == "a FIFO":
        record.unlink()
        os.mkfifo(record)
    elif what == "a tebibyte":
        record.write_bytes(b"")
        os.truncate(record, 2**40)
    elif what == "deep JSON":
        with record.open("a") as file:
            file.write("[" * 200_000 + "\n")
    elif what == "root's":
        give(record, 0)
    else:
        record.unlink()
        record.symlink_to("/etc/passwd")
        give(record, APP)
    begun = time.monotonic()
    with pytest.raises(StuckJobsError):
        undo(engine_of_record, str(record))
    assert time.monotonic() - begun < 5


# Output


def test_nothing_of_a_database_reaches_the_output_unprintable(srv):
    escape = "\x1b]0;owned\x07\n<3>other: 500 deleted"
    with closing(sqlite3.connect(srv / "app/jobs.db")) as db:
        db.execute("CREATE TABLE odd (id TEXT PRIMARY KEY, status TEXT, updated_at TEXT, note TEXT)")
        for key, stamp in (("a", "2026-01-18 12:00"), (f"b{escape}", "2026-01-18 12:00"), (f"c{escape}", escape)):
            db.execute("INSERT INTO odd VALUES (?, ?, ?, ?)", (key, f"stuck {escape}", stamp, escape))
        db.execute(
            "CREATE TRIGGER t BEFORE UPDATE ON odd WHEN old.id = 'a'"
            f" BEGIN SELECT raise(ABORT, 'refused {escape}'); END"
        )
        db.commit()
    odd = {"table": "odd", "stuck_statuses": [f"stuck {escape}"], "reset_set": {"note": escape}}
    app, _mallory = go(srv, odd)
    assert (app.count, app.skipped_count) == (1, 2)
    texts = json.dumps(app.as_data(), ensure_ascii=False), app.rows[0].before, app.rows[0].after, app.sentence()
    assert "\\x1b]0;owned\\x07\\n<3>other" in app.rows[0].before
    assert all(text.isprintable() for text in texts)
    with closing(sqlite3.connect(srv / "app/jobs.db")) as db:
        db.execute(f'CREATE TABLE "x{escape}" (a)')
    app, _mallory = go(srv, {"table": "x"})
    assert "there is no table 'x'" in app.error
    assert app.error.isprintable()
