"""The stuck-job engine killed, run twice at once, and beside other writers: only whole jobs change, nothing is lost."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
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
from clean_ups import PostgreSQL, SQLite
from project import PROJECT

PLUGINS = PROJECT / "plugins"
RUN = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from module_utils._common.users import owner_identity
from module_utils._stuck_jobs.api import clean_up, engine_of, read_database
from module_utils._stuck_jobs.engines.postgresql.engine import PostgreSQL
PostgreSQL.owner = owner_identity(os.geteuid(), os.getegid())  # the system user, even if that is root
(report,) = clean_up(engine_of, [read_database(json.loads(sys.argv[2]))])
print(json.dumps(report.as_data()))
sys.exit(bool(report.error))
"""


@pytest.fixture
def db(any_database):
    return make(any_database, jobs_in(any_database))


def jobs_in(db):
    """As many as keep a run busy for a while."""
    return 1500 if isinstance(db, PostgreSQL) else 10_000


def make(db, jobs, one_in=1):
    """Fills a database with this many jobs, of which one in `one_in` is stuck and has a link."""
    db.sql(
        """
        CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT, updated_at {time}, attempts INTEGER, payload TEXT);
        CREATE TABLE links (id INTEGER PRIMARY KEY, job INTEGER, status TEXT);
        CREATE INDEX of_job ON links (job);
        CREATE TABLE beats (id {serial} PRIMARY KEY);
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs})
        INSERT INTO jobs SELECT i, CASE i % {one_in} WHEN 0 THEN 'processing' ELSE 'completed' END,
            '2026-01-18 12:00:00', 0, 'the payload of a job, with about eighty characters in all, number ' || i FROM n;
        INSERT INTO links SELECT id, id, 'processing' FROM jobs WHERE status = 'processing';
    """.format(jobs=jobs, one_in=one_in, **db.words)
    )
    return db


def options(db, **more):
    return db.options(attempts_column="attempts", children=[{"table": "links", "foreign_key": ["job"]}], **more)


def start(db, **more):
    command = [sys.executable, "-c", RUN, str(PLUGINS), json.dumps(options(db, **more))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def states(db):
    """How many jobs there are in each status, together with the status of their link."""
    joined = "jobs LEFT JOIN links ON job = jobs.id"
    sql = f"SELECT jobs.status, attempts, links.status, count(*) FROM {joined} GROUP BY 1, 2, 3"
    return {(status, attempts, link): count for status, attempts, link, count in db.sql(sql)}


def records(db):
    return sorted(db.records.glob("*/*.jsonl*"))


def at_work(db):
    return any(record.suffix == ".part" for record in records(db))


def killed(run, db, longest):
    """Kills a run at a random moment; False if it had already ended."""
    while run.poll() is None and not at_work(db):
        time.sleep(0.002)
    time.sleep(random.uniform(0, longest))
    run.kill()
    return run.wait() == -signal.SIGKILL


@pytest.mark.parametrize("action", ["reset", "delete"])
def test_a_kill_at_any_moment_leaves_whole_jobs_and_the_next_run_completes_them(db, action):
    untouched, done = ("processing", 0, "processing"), ("pending", 1, "pending")
    kills = 0
    for longest in (0, 0.05, 0.2):  # seconds; the first run must not have ended
        run = start(db, action=action)
        kills += killed(run, db, longest)
        assert db.is_intact()
        found = states(db)
        assert set(found) <= {untouched, done}
        assert action == "delete" or sum(found.values()) == jobs_in(db)
        assert db.sql("SELECT count(*) FROM links WHERE job NOT IN (SELECT id FROM jobs)") == [(0,)]
    assert kills, "never killed while it was at work"

    last = start(db, action=action)
    assert last.wait() == 0, last.stdout.read()
    assert states(db) == ({done: jobs_in(db)} if action == "reset" else {})
    assert not [record for record in records(db) if record.suffix == ".part"], "a cut-off record was forgotten"

    for record in records(db):
        undo(engine_of_record, str(record))
    assert states(db) == {untouched: jobs_in(db)}, "no job is missing from the records"


@pytest.mark.usefixtures("in_this_process")
def test_an_interrupt_right_after_a_commit_leaves_a_record_that_undoes_it(db, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Record, "done", interrupt)
        clean_up(engine_of, [read_database(options(db))])
    (record,) = records(db)
    assert ("pending", 1, "pending") in states(db)
    undo(engine_of_record, str(record))
    assert states(db) == {("processing", 0, "processing"): jobs_in(db)}


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_large_table_killed_again_and_again(journal, tmp_path):
    """Each run continues where the killed ones ended."""
    untouched, done, others = ("processing", 0, "processing"), ("pending", 1, "pending"), ("completed", 0, None)
    db, kills, before = make(SQLite(tmp_path, journal), 200_000, one_in=10), 0, 0
    for longest in (0, 0.1, 0.2, 0.3):
        kills += killed(start(db), db, longest)
        assert db.is_intact()
        found = states(db)
        assert set(found) <= {untouched, done, others}
        assert found[others] == 180_000
        assert found.get(done, 0) >= before, "what was done is undone"
        before = found.get(done, 0)
    assert kills, "never killed while it was at work"
    assert start(db).wait() == 0
    assert states(db) == {done: 20_000, others: 180_000}


def test_two_runs_at_once_change_each_job_once(db):
    runs = [start(db), start(db)]
    told = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert states(db) == {("pending", 1, "pending"): jobs_in(db)}
    assert sum("nothing is stuck" in sentence for sentence in told) == 1


def test_the_application_can_write_during_a_run(db):
    """With the default time-out of Python's sqlite3, and without any error."""
    run, beats = start(db), 0
    with closing(db.connect()) as other:
        while run.poll() is None:
            other.execute("INSERT INTO beats DEFAULT VALUES")
            beats += 1
            time.sleep(0.002)
    told = run.stdout.read()
    assert run.returncode == 0, told
    assert states(db) == {("pending", 1, "pending"): jobs_in(db)}
    assert db.sql("SELECT count(*) FROM beats") == [(beats,)]
    report = json.loads(told)
    assert report["batches"] > 1
    assert 0 < report["longest_lock_seconds"] <= report["locked_seconds"]
