"""The helper in the application's Python, and what it answers (with a simulated Celery)."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import celery_client
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    clean_up,
    engine_of,
    read_database,
)

REAL = Path(sys.executable).resolve()
# An interpreter that anybody can run: one that root built at home is not.
PYTHON = sys.executable if all(part.stat().st_mode & 1 for part in (REAL, *REAL.parents)) else "/usr/bin/python3"

# A test appends what the workers execute, and what happens to a task that is sent.
APP = """
import contextlib, os, sys, time
ids = lambda: [*os.getresuid(), *os.getresgid(), *os.getgroups()]
class Connection:
    ensure_connection = lambda *_, **__: None
class App:
    control = loader = property(lambda self: self)
    import_default_modules = lambda self: None
    conf = {}
    tasks = {}
    def broadcast(self, question, **_):
        return [{"w1": {"pid": 7} if question == "stats" else ACTIVE() if question == "active" else []}]
    connection_for_write = lambda self, **_: contextlib.nullcontext(Connection())
    def send_task(self, **task):
        pass
ARGS = []
ACTIVE = lambda: [{"id": "t1", "args": ARGS, "kwargs": {}}]
find_app = lambda name: App()
"""


@pytest.fixture
def shop():
    """A directory that the user nobody can read, with an application and a database."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    for directory in ("celery", "celery/app"):
        (path / directory).mkdir()
        (path / directory / "__init__.py").touch()
    (path / "jobs.db").touch()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(shop):
    """Starts a client of an application with this additional code."""
    started = []

    def start(more="", variables=None, write=True, **celery):
        if write:
            (shop / "celery/app/utils.py").write_text(APP + more)
        celery = {"app": "shop", "directory": str(shop), "python": PYTHON, "timeout": 0.2, **celery}
        database = read_database({"name": "jobs", "path": str(shop / "jobs.db"), "table": "jobs", "celery": celery})
        ours = celery_client.CeleryClient(database.celery, variables or {})
        started.append(ours)
        ours.start()
        return ours

    yield start
    for each in started:
        each.stop()


TASKS = [{"name": "shop.make", "args": [1]}]


def test_a_helper_that_did_not_answer_in_time_is_not_used_again(start, monkeypatch):
    ours = start("App.send_task = lambda *_, **__: time.sleep(1)")
    assert ours.ready() == ""
    with monkeypatch.context() as patch:
        patch.setattr(celery_client.time, "monotonic", iter([0, 99]).__next__)
        assert ours.send(TASKS) == (0, "no answer from shop within 11.8 s")
    assert ours._process.wait(9) == -9
    assert ours.send(TASKS * 2) == (0, "no answer from shop within 11.8 s")
    assert ours.active_tasks().error == "no answer from shop within 11.8 s"


def test_an_answer_to_another_question_is_an_error(start):
    ours = start()
    assert ours.ready() == ""
    ours._write("tasks")
    assert ours.send(TASKS) == (0, "shop gave an invalid answer")


def test_after_a_task_that_can_not_be_sent_the_next_one_can(start):
    ours = start("""
def fails_once(self, **task):
    App.send_task = lambda *_, **__: None
    raise OSError("gone")
App.send_task = fails_once
""")
    assert ours.ready() == ""
    assert ours.send(TASKS) == (0, "OSError: gone")
    assert ours.send(TASKS) == (1, "")


@pytest.mark.parametrize(("missing", "said"), [("directory", "No such file"), ("python", "can't be started")])
def test_a_helper_that_can_not_be_started_answers_every_request_with_the_error(shop, start, missing, said):
    ours = start(**{missing: str(shop / "missing")})
    why = ours.ready()
    assert said in why
    assert str(shop / "missing") in why
    assert ours.active_tasks().error == why
    assert ours.send(TASKS) == (0, why)


def test_modules_of_the_application_named_like_others_are_not_taken_for_them(shop, start):
    """As for the celery command, which has imported its own modules before it looks into the directory."""
    (shop / "celery").rename(shop / "installed")
    (shop / "lib").mkdir()
    (shop / "installed").rename(shop / "lib/celery")
    for name in ("celery", "json", "collections"):
        (shop / f"{name}.py").write_text("raise ImportError('the application has a module of that name')")
    (shop / "lib/celery/app/utils.py").write_text(APP)
    ours = start(variables={"PYTHONPATH": str(shop / "lib")}, write=False)
    assert ours.ready() == ""
    assert "t1" in ours.active_tasks().by_value


# Celery's own, with a gevent that only notes that it was asked.
PATCHES = """
def maybe_patch_concurrency(argv):
    import sys
    assert "celery.app" not in sys.modules, "too late"
    sys.modules["patched"] = argv[-1]
"""


@pytest.mark.parametrize("pool", ["prefork", "gevent", "eventlet"])
def test_the_application_is_imported_as_by_its_workers_command(shop, start, pool):
    (shop / "lib").mkdir()
    (shop / "celery").rename(shop / "lib/celery")
    (shop / "lib/celery/__init__.py").write_text(PATCHES)
    seen = "ARGS = [sys.modules['patched'], *sys.argv, sys.stdin.read()]"
    (shop / "lib/celery/app/utils.py").write_text(APP + seen)
    ours = start(variables={"PYTHONPATH": str(shop / "lib")}, write=False, pool=pool)
    assert ours.ready() == ""
    line = [f"{Path(PYTHON).parent}/celery", "-A", "shop", "worker", f"--pool={pool}"]
    assert {*line, ""} <= set(ours.active_tasks().by_value)


@pytest.mark.parametrize("why", ["gevent has not patched socket", "No module named 'eventlet'"])
def test_an_application_that_needs_another_pool_is_explained(start, why):
    said = f"RuntimeError: {why} (celery.pool is prefork: set it to the pool of the workers)"
    assert start(f'raise RuntimeError("{why}")').ready() == said
    assert start("raise RuntimeError('no gevent')", pool="gevent").ready() == "RuntimeError: no gevent"


def test_settings_of_the_workers_command_line_count(start):
    ours = start("ARGS = App.conf", settings={"broker_transport_options": {"master_name": "mymaster"}})
    assert ours.ready() == ""
    assert "mymaster" in ours.active_tasks().by_value


def test_large_output_of_the_application_does_not_block(start):
    ours = start("print('x' * 1000000, flush=True); ARGS = ['y' * 1000000]")
    assert ours.ready() == ""
    assert "y" * 1000000 in ours.active_tasks().by_value


def test_the_last_line_of_a_helper_that_exits_is_the_error(start):
    ours = start("print('x\\n' * 100000, flush=True); os.write(2, b'out of luck'); os._exit(3)")
    assert ours.ready() == "out of luck"
    assert ours.active_tasks().error == "out of luck"


def test_an_import_error_is_the_answer_to_every_request(start):
    ours = start("raise ImportError('no shop')")
    assert ours.ready() == "ImportError: no shop"
    assert ours.send(TASKS) == (0, "ImportError: no shop")


def test_after_an_interrupt_the_helper_is_not_used_again(start, monkeypatch):
    def interrupt(_seconds):
        raise KeyboardInterrupt

    ours = start()
    assert ours.ready() == ""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ours, "_line", interrupt)
        ours.send(TASKS)
    assert ours.send(TASKS * 2)[0] == 0


UUID = "0DE5B4CA-3F6B-4b6e-9d0c-2b1c5d7e8f90"
PLAIN = UUID.replace("-", "").lower()


@pytest.mark.parametrize("stored", [PLAIN, PLAIN.upper(), UUID.lower(), bytes.fromhex(PLAIN)])
@pytest.mark.parametrize("column", ["id", "task"])
def test_a_uuid_is_recognised_however_it_is_stored(shop, start, stored, column):
    os.chown(shop / "jobs.db", os.geteuid(), -1)
    with closing(sqlite3.connect(shop / "jobs.db")) as db:
        db.execute("CREATE TABLE jobs (id PRIMARY KEY, status, updated_at, task)")
        row = {"id": 1, "task": None, column: stored}
        db.execute("INSERT INTO jobs VALUES (:id, 'processing', '2026-01-18 12:00', :task)", row)
        db.execute("INSERT INTO jobs VALUES (2, 'processing', '2026-01-18 12:00', NULL)")
        db.commit()
    start(f"ARGS = ['{UUID}', None]").stop()  # a task may also get None, which is nobody's id
    celery = {"app": "shop", "directory": str(shop), "python": PYTHON, "timeout": 0.2, "task_id_column": "task"}
    jobs = {"name": "jobs", "path": str(shop / "jobs.db"), "table": "jobs", "celery": celery}
    (report,) = clean_up(engine_of, [read_database({**jobs, "record_directory": str(shop / "records")})])
    assert report.error == ""
    assert [note.why for note in report.skipped] == ["w1 is executing it (task t1)"]
    assert report.changed == 1
    with closing(sqlite3.connect(shop / "jobs.db")) as db:
        assert db.execute("SELECT id FROM jobs WHERE status = 'pending'").fetchall() == [(2,)]


def test_only_uuids_are_normalized():
    assert celery_client.same_name(UUID) == celery_client.same_name(PLAIN) == PLAIN
    for other in ("17", "a-b", "AB", UUID[:-1], UUID.replace("-", "", 1), PLAIN[:-1] + "x", PLAIN + "0"):
        assert celery_client.same_name(other) == other


# What hostile code of the application writes to the pipe for answers, after it has found that pipe.
HOSTILE = """
pipe = max(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}"))
os.write(pipe, b'{"ready": true}\\n')
os.read(pipe - 1, 99)  # the request
os.write(pipe, ANSWER)
os.read(pipe - 1, 99)
"""
INVALID = {
    "no JSON": b"yes\n",
    "no text": b"\xff\xfe\n",
    "another type": b"[]\n",
    "a number for a text": b'{"tasks": {"1": 5}}\n',
    "a list for a dictionary": b'{"tasks": ["1"]}\n',
    "a number as a warning": b'{"tasks": {}, "warnings": [1]}\n',
    "an error that is no text": b'{"error": {"a": 1}}\n',
    "deep": b"[" * 100_000 + b"\n",
    "a number of a million digits": b'{"tasks": {}, "sent": ' + b"9" * 1_000_000 + b"}\n",
}


@pytest.mark.parametrize("answer", INVALID.values(), ids=INVALID)
def test_an_answer_that_is_not_as_agreed_is_an_error(start, answer):
    ours = start(f"ANSWER = {answer!r}\n{HOSTILE}")
    assert ours.ready() == ""
    assert ours.active_tasks().error == "shop gave an invalid answer"


def test_an_endless_answer_is_cut_off(start, monkeypatch):
    monkeypatch.setattr(celery_client, "LONGEST", 1_000_000)
    ours = start(f"ANSWER = b'x'\n{HOSTILE.rpartition('os.read')[0]}\nwhile True: os.write(pipe, b'x' * 65536)")
    assert ours.ready() == ""
    assert ours.active_tasks().error == "shop gave an invalid answer"


def test_more_tasks_than_were_asked_for_are_never_sent(start):
    ours = start("ANSWER = b'{\"sent\": 99}\\n'" + HOSTILE)
    assert ours.ready() == ""
    assert ours.send(TASKS) == (1, "")


def test_a_helper_that_logs_without_end_is_waited_for_no_longer(start, monkeypatch):
    monkeypatch.setattr(celery_client, "STARTING", 0.5)
    assert start("while True: os.write(2, b'x' * 65536)").ready() == "no answer from shop within 0.5 s"


def test_a_helper_that_only_closes_its_output_is_not_waited_for(start):
    assert start("os.closerange(0, 99); time.sleep(99)").ready().endswith("closed its output")
