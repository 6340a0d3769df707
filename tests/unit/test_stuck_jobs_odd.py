"""Databases with a will of their own (triggers, constraints), odd files, and users who are not to be trusted."""

from __future__ import annotations

import os
import pwd
import sqlite3
from contextlib import closing

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils.stuck_jobs import (
    StuckJobsError,
    clean_up,
    read_options,
    undo,
)

OLD = "2026-01-18 12:00:00"


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "jobs.db"
    with closing(sqlite3.connect(file)) as db:
        db.executescript(f"""
            CREATE TABLE jobs (id INTEGER PRIMARY KEY, status, updated_at, usr, n INTEGER DEFAULT 1);
            CREATE TABLE links (id INTEGER PRIMARY KEY, job INTEGER, status);
            INSERT INTO jobs (id, status, updated_at, usr) VALUES
                (1, 'processing', '{OLD}', 'ann'), (2, 'processing', '{OLD}', 'bob'), (3, 'pending', '{OLD}', 'bob');
            INSERT INTO links SELECT id, id, status FROM jobs;
        """)
    return file


def sql(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return [db.execute(statement).fetchall() for statement in statements][-1]


def run(path, dry_run=False, **more):
    options = {
        **{"name": "jobs", "path": str(path), "table": "jobs", "record_directory": str(path.parent / "records")},
        **{"children": [{"table": "links", "foreign_key": ["job"]}], **more},
    }
    (report,) = clean_up([read_options(options)], dry_run)
    return report


def test_a_row_that_sqlite_refuses_keeps_no_other_from_being_reset(path):
    sql(path, "CREATE UNIQUE INDEX one ON jobs (usr) WHERE status = 'pending'")
    report = run(path)
    assert report.counts["jobs"] == {"reset": 1}
    assert [(note.id, note.why) for note in report.skipped] == [
        ("2", "SQLite refuses it: UNIQUE constraint failed: jobs.usr")
    ]
    assert sql(path, "SELECT status FROM jobs") == [("pending",), ("processing",), ("pending",)]
    assert sql(path, "SELECT status FROM links WHERE job = 2") == [("processing",)], "half a job"


@pytest.mark.parametrize("jobs", [[], [1, 2]])
@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("where", "more"),
    [
        ("jobs.usr", {"action": "delete"}),
        ("jobs.usr", {"reset_set": {"usr": None}}),
        ("jobs.updated_at", {}),
        ("links.status", {"action": "delete"}),
    ],
)
def test_a_row_whose_text_is_not_utf_8_keeps_no_other_from_its_turn(path, where, more, dry_run, jobs):
    table, column = where.split(".")
    sql(path, f"UPDATE {table} SET {column} = CAST(x'6eff' AS TEXT) WHERE id = 1")
    before = sql(path, "SELECT id, hex(usr), hex(updated_at), status FROM jobs WHERE id = 1")
    report = run(path, dry_run, jobs=jobs, respect_age=True, **more)
    assert [change.key for change in report.rows if change.shape.table.table == "jobs"] == [(2,)]
    ((_table, key, why),) = report.skipped
    assert key == "1"
    assert why in (f"{where} is text that is not UTF-8", f"{column} is b'n\\xff', which is no time that we know")
    assert sql(path, "SELECT id, hex(usr), hex(updated_at), status FROM jobs WHERE id = 1") == before
    assert dry_run != (sql(path, "SELECT count(*) FROM jobs WHERE id = 2 AND status = 'processing'") == [(0,)])


def test_a_key_that_is_not_utf_8_stops_only_its_own_job(path):
    sql(
        path,
        "CREATE TABLE named (usr TEXT PRIMARY KEY, status, updated_at) WITHOUT ROWID",
        "INSERT INTO named SELECT usr, status, updated_at FROM jobs WHERE id < 3",
        f"INSERT INTO named VALUES (CAST(x'6eff' AS TEXT), 'processing', '{OLD}')",
    )
    report = run(path, table="named", id_column="usr", children=[])
    assert report.counts == {"named": {"reset": 2}}
    assert [tuple(note) for note in report.skipped] == [("named", "6eff", "named.usr is text that is not UTF-8")]


@pytest.mark.parametrize(
    ("action", "trigger"),
    [
        ("reset", "AFTER UPDATE ON links BEGIN UPDATE jobs SET updated_at = datetime() WHERE id = new.job; END"),
        ("delete", "AFTER DELETE ON links BEGIN UPDATE jobs SET n = n - 1 WHERE id = old.job; END"),
    ],
)
def test_a_trigger_of_the_database_is_nobody_elses_change(path, action, trigger):
    sql(path, f"CREATE TRIGGER touch {trigger}")
    report = run(path, action=action)
    assert report.counts["jobs"] == {action: 2}
    assert not report.moved_on_count
    undone = undo(report.record)
    assert (undone.back, undone.left) == (4, 0)
    assert sql(path, "SELECT count(*) FROM jobs WHERE status = 'processing'") == [(2,)]


def test_an_undo_goes_on_after_a_job_that_can_not_come_back(path):
    sql(path, "CREATE UNIQUE INDEX one ON jobs (usr) WHERE status = 'processing'")
    report = run(path, action="delete")
    sql(path, "INSERT INTO jobs (id, status, usr) VALUES (9, 'processing', 'ann')")
    undone = undo(report.record)
    assert (undone.back, undone.left) == (2, 1)
    assert sql(path, "SELECT id FROM jobs ORDER BY id") == [(2,), (3,), (9,)]
    assert sql(path, "SELECT job FROM links ORDER BY job") == [(2,), (3,)], "a link came back without its job"


def test_an_undo_touches_no_link_of_a_job_that_went_on(path):
    report = run(path)
    sql(path, "UPDATE jobs SET status = 'cancelled' WHERE id = 1")
    assert undo(report.record).left == 1
    assert sql(path, "SELECT status FROM links WHERE job = 1") == [("pending",)]


@pytest.mark.parametrize("head", ["", '{"database": "/srv/some'])
def test_a_record_that_was_cut_off_at_once_stops_no_run(path, head):
    run(path, jobs=["1"])
    owner = pwd.getpwuid(os.getuid()).pw_name
    part = path.parent / "records" / owner / "jobs-20260118T120000Z-cut.jsonl.part"
    part.write_text(head)
    assert run(path).counts["jobs"] == {"reset": 1}
    assert not part.exists()


def test_a_record_of_another_database_is_left_to_that_one(path):
    run(path, jobs=["1"])
    part = path.parent / "records" / pwd.getpwuid(os.getuid()).pw_name / "jobs-20260118T120000Z-other.jsonl.part"
    part.write_text('{"database": "/srv/other.db", "name": "jobs"}\n')
    assert not run(path).error
    assert part.exists()


as_root = pytest.mark.skipif(os.getuid() != 0, reason="takes another user's files")


@as_root
def test_root_undoes_no_record_that_somebody_else_has_written(path):
    record = run(path).record
    os.chown(record, pwd.getpwnam("nobody").pw_uid, -1)
    with pytest.raises(StuckJobsError, match="belongs to nobody, who does not own"):
        undo(record)


@as_root
@pytest.mark.parametrize("what", ["file", "directory"])
def test_root_follows_no_link_of_another_user(path, tmp_path, what):
    link = tmp_path / "link"
    link.symlink_to(path if what == "file" else tmp_path)
    os.chown(link, pwd.getpwnam("nobody").pw_uid, -1, follow_symlinks=False)
    report = run(link if what == "file" else link / "jobs.db", record_directory=str(tmp_path / "records"))
    assert "link is nobody's link to a file of root's" in report.error
    assert sql(path, "SELECT count(*) FROM jobs WHERE status = 'processing'") == [(2,)]


def test_the_id_is_found_wherever_it_stands_among_the_arguments():
    from ansible_collections.evenkeel.celery.plugins.module_utils.stuck_jobs.run import _filled  # noqa: PLC0415

    assert _filled(["{id}", {"jobs": ["{id}", "job {id}"]}], (7,)) == [7, {"jobs": [7, "job 7"]}]
