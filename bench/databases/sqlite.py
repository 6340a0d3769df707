"""SQLite: both journal modes, with and without an index on the status, and a disk that syncs slowly."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Callable

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
MOST = {"WAL": 1.4, "rollback journal": 1.9}  # times the one UPDATE
NOTHING: Mapping[str, str] = {}


def cases(directory: Path, rows: int) -> Iterator[Case]:
    for journal in MOST:
        for index in ("", "by_status"):
            yield from _case(directory, rows, journal, index)
    if shutil.which("cc"):
        for journal in MOST:
            yield from _case(directory, rows, journal, slow=_slow_syncs(directory))
    else:
        print("Slow syncs are left out, as there is no C compiler. Install gcc to measure them.", file=sys.stderr)


def _case(directory: Path, rows: int, journal: str, index: str = "", slow: Mapping[str, str] = NOTHING):
    path, copy = directory / "jobs.db", directory / "copy.db"
    yield Case(
        ", ".join(filter(None, (journal, index and "index", slow and "slow syncs"))),
        renew=partial(_renew, path, copy, partial(make, path, rows, journal, index)),
        stuck=partial(_stuck, copy),
        contenders={
            UPDATE: ["sqlite3", "-cmd", ".timeout 120000", str(copy), ONE_UPDATE],
            FLOOR: side("floor", copy, index),
            OURS: side("ours", copy),
        },
        others={name: side("other", copy, sql) for name, sql in OTHERS.items()},
        goals={UPDATE: 2.5} if slow else {UPDATE: MOST[journal], FLOOR: 1.15, "writer": 50},
        environment=slow,
    )
    _remove(path)


def _slow_syncs(directory: Path) -> dict[str, str]:
    library, source = directory / "slowsync.so", HERE / "slowsync.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SLOWSYNC_US": "10000"}


def side(*arguments) -> list[str]:
    return [sys.executable, str(HERE / "sqlite_sides.py"), *map(str, arguments)]


def make(path: Path, rows: int, journal: str, index: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute(f"PRAGMA journal_mode = {'WAL' if journal == 'WAL' else 'DELETE'}")
        db.executescript("BEGIN;" + MAKE.format(rows=rows) + "COMMIT;")
        if index:
            db.execute(f"CREATE INDEX {index} ON jobs (status)")


def _renew(path: Path, copy: Path, make: Callable[[], None], _contender: str) -> None:
    _remove(copy)
    if not path.exists():
        make()
    shutil.copyfile(path, copy)
    os.sync()


def _remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):  # also -wal, -shm and -journal
        file.unlink()


def _stuck(copy: Path) -> int:
    with closing(sqlite3.connect(copy, timeout=120)) as db:
        return db.execute("SELECT count(*) FROM jobs WHERE status = 'processing'").fetchone()[0]
