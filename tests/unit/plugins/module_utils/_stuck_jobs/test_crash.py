"""The stuck-job engine killed, run twice at once, and beside other writers: only whole jobs change, nothing is lost."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    clean_up,
    engine_of,
    engine_of_record,
    read_database,
    undo,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.record import Record
from project import PROJECT

PLUGINS = PROJECT / "plugins"
JOBS = 30_000
RUN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from module_utils._stuck_jobs.api import clean_up, engine_of, read_database
(report,) = clean_up(engine_of, [read_database(json.loads(sys.argv[2]))])
print(report.sentence())
sys.exit(bool(report.error))
"""


JOURNALS = ["wal", "delete"]


@pytest.fixture(params=JOURNALS)
def path(request, tmp_path):
    return make(tmp_path, request.param)


def make(directory, journal, jobs=JOBS, one_in=1):
    """A database with this many jobs, of which one in `one_in` is stuck and has a link."""
    file = directory / "jobs.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA journal_mode = {journal}")
        db.executescript(f"""
            CREATE TABLE jobs (id INTEGER PRIMARY KEY, status, updated_at, attempts INTEGER, payload);
            CREATE TABLE links (id INTEGER PRIMARY KEY, job INTEGER, status);
            CREATE INDEX of_job ON links (job);
            CREATE TABLE beats (id INTEGER PRIMARY KEY);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs})
            INSERT INTO jobs SELECT i, CASE i % {one_in} WHEN 0 THEN 'processing' ELSE 'completed' END,
                '2026-01-18 12:00:00', 0, hex(randomblob(40)) FROM n;
            INSERT INTO links SELECT id, id, 'processing' FROM jobs WHERE status = 'processing';
        """)
        db.commit()
    return file


def options(path, **more):
    return {
        **{"name": "jobs", "path": str(path), "table": "jobs", "attempts_column": "attempts"},
        **{"record_directory": str(path.parent / "records"), "children": [{"table": "links", "foreign_key": ["job"]}]},
        **more,
    }


def start(path, **more):
    command = [sys.executable, "-c", RUN, str(PLUGINS), json.dumps(options(path, **more))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def rows(path, sql):
    with closing(sqlite3.connect(path, timeout=30)) as db:
        return db.execute(sql).fetchall()


def states(path):
    """How many jobs there are in each status, together with the status of their link."""
    joined = "jobs LEFT JOIN links ON job = jobs.id"
    sql = f"SELECT jobs.status, attempts, links.status, count(*) FROM {joined} GROUP BY 1, 2, 3"
    return {(status, attempts, link): count for status, attempts, link, count in rows(path, sql)}


def records(path):
    return sorted((path.parent / "records").glob("*/*.jsonl*"))


def at_work(path):
    return any(record.suffix == ".part" for record in records(path))


def killed(run, path, longest):
    """Kills a run at a random moment; False if it had already ended."""
    while run.poll() is None and not at_work(path):
        time.sleep(0.01)
    time.sleep(random.uniform(0, longest))
    run.kill()
    return run.wait() == -signal.SIGKILL


@pytest.mark.parametrize("action", ["reset", "delete"])
def test_a_kill_at_any_moment_leaves_whole_jobs_and_the_next_run_completes_them(path, action):
    untouched, done = ("processing", 0, "processing"), ("pending", 1, "pending")
    kills = 0
    for _attempt in range(4):
        run = start(path, action=action)
        kills += killed(run, path, 0.2)
        assert rows(path, "PRAGMA integrity_check") == [("ok",)]
        found = states(path)
        assert set(found) <= {untouched, done}
        assert action == "delete" or sum(found.values()) == JOBS
        assert rows(path, "SELECT count(*) FROM links WHERE job NOT IN (SELECT id FROM jobs)") == [(0,)]
    assert kills, "never killed while it was at work"

    last = start(path, action=action)
    assert last.wait() == 0, last.stdout.read()
    assert states(path) == ({done: JOBS} if action == "reset" else {})
    assert not [record for record in records(path) if record.suffix == ".part"], "a cut-off record was forgotten"

    for record in records(path):
        undo(engine_of_record, str(record))
    assert states(path) == {untouched: JOBS}, "no job is missing from the records"


@pytest.mark.usefixtures("in_this_process")
def test_an_interrupt_right_after_a_commit_leaves_a_record_that_undoes_it(path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Record, "done", interrupt)
        clean_up(engine_of, [read_database(options(path))])
    (record,) = records(path)
    assert ("pending", 1, "pending") in states(path)
    undo(engine_of_record, str(record))
    assert states(path) == {("processing", 0, "processing"): JOBS}


@pytest.mark.parametrize("journal", JOURNALS)
def test_a_million_rows_killed_again_and_again(journal, tmp_path):
    """Each run continues where the killed ones ended."""
    untouched, done, others = ("processing", 0, "processing"), ("pending", 1, "pending"), ("completed", 0, None)
    path, kills, before = make(tmp_path, journal, 1_000_000, one_in=10), 0, 0
    for _attempt in range(4):
        kills += killed(start(path), path, 0.6)
        assert rows(path, "PRAGMA integrity_check") == [("ok",)]
        found = states(path)
        assert set(found) <= {untouched, done, others}
        assert found[others] == 900_000
        assert found.get(done, 0) >= before, "what was done is undone"
        before = found.get(done, 0)
    assert kills, "never killed while it was at work"
    assert start(path).wait() == 0
    assert states(path) == {done: 100_000, others: 900_000}


def test_two_runs_at_once_change_each_job_once(path):
    runs = [start(path), start(path)]
    told = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert states(path) == {("pending", 1, "pending"): JOBS}
    assert sum("nothing is stuck" in sentence for sentence in told) == 1


def test_the_application_can_write_during_a_run(path):
    """With the default time-out of Python's sqlite3, and without any error."""
    stop, beats = threading.Event(), []

    def write():
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            while not stop.is_set():
                db.execute("INSERT INTO beats DEFAULT VALUES")
                beats.append(1)
                time.sleep(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    (report,) = clean_up(engine_of, [read_database(options(path))])
    stop.set()
    writer.join()
    assert states(path) == {("pending", 1, "pending"): JOBS}
    assert rows(path, "SELECT count(*) FROM beats") == [(len(beats),)]
    assert report.batches > 1
    assert 0 < report.longest_lock <= report.locked
