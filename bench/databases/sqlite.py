"""SQLite: both journal modes, with and without an index on the status, and a disk that syncs slowly."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from databases.case import FLOOR, OURS, UPDATE, Case

HERE = Path(__file__).parent
MAKE = """
CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, prompt TEXT, result TEXT, updated_at TEXT);
CREATE TABLE beats (id INTEGER PRIMARY KEY);
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {rows})
INSERT INTO jobs SELECT lower(hex(randomblob(16))), iif(i % 10, 'completed', 'processing'), hex(randomblob(100)),
    hex(randomblob(50)), strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-' || (60 + i % 100000) || ' minutes') FROM n;
"""
ONE_UPDATE = (
    "UPDATE jobs SET status = 'pending' WHERE status = 'processing'"
    " AND julianday(updated_at) < julianday('now', '-30 minutes')"
)
OTHERS = {
    "writer": "INSERT INTO beats DEFAULT VALUES",
    "reader": "SELECT 1 FROM jobs WHERE id > lower(hex(randomblob(16))) LIMIT 1",
}
SLOW = 10_000  # microseconds


def cases(directory: Path, rows: int, only: str) -> Iterator[Case]:
    for journal, most in (("WAL", 1.4), ("DELETE", 1.9)):
        for index in ("", "by_status"):
            yield from _case(directory, rows, journal, index, {UPDATE: most, FLOOR: 1.15, "writer": 50})
    if not shutil.which("cc"):
        print("Without a C compiler, slow syncs are left out. Install one that is called cc.", file=sys.stderr)
        return
    library = directory / "slowsync.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, HERE / "slowsync.c", "-ldl"], check=True)
    slow = {"LD_PRELOAD": str(library), "SLOWSYNC_US": str(SLOW)}
    for journal in ("WAL", "DELETE"):
        yield from _case(directory, rows, journal, "", {UPDATE: 2.5}, slow)


def _case(directory, rows, journal, index, goals, environment=None) -> Iterator[Case]:
    path, copy = directory / "jobs.db", directory / "copy.db"
    make(path, rows, journal, index)
    name = f"{rows:,} rows, {journal}{', index' if index else ''}{', slow syncs' if environment else ''}"
    yield Case(
        name,
        renew=partial(_renew, path, copy),
        stuck=partial(_stuck, copy),
        contenders={
            UPDATE: ["sqlite3", "-cmd", ".timeout 120000", str(copy), ONE_UPDATE],
            FLOOR: side("floor", copy, index),
            OURS: side("ours", copy),
        },
        others={name: side("other", copy, sql) for name, sql in OTHERS.items()},
        goals=goals,
        environment=environment or {},
    )
    _remove(path)
    _remove(copy)


def side(*arguments) -> list[str]:
    return [sys.executable, str(HERE / "sqlite_sides.py"), *map(str, arguments)]


def make(path: Path, rows: int, journal: str, index: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute(f"PRAGMA journal_mode = {journal}")
        db.executescript("BEGIN;" + MAKE.format(rows=rows) + "COMMIT;")
        if index:
            db.execute(f"CREATE INDEX {index} ON jobs (status)")


def _renew(path: Path, copy: Path) -> None:
    _remove(copy)
    shutil.copyfile(path, copy)
    os.sync()


def _remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):  # also -wal, -shm and -journal
        file.unlink()


def _stuck(copy: Path) -> int:
    with closing(sqlite3.connect(copy, timeout=120)) as db:
        return db.execute("SELECT count(*) FROM jobs WHERE status = 'processing'").fetchone()[0]
