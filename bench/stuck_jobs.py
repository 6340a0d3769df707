#!/usr/bin/env python3
"""Measures a clean-up compared with one UPDATE in the sqlite3 shell: its time, and how long other writers wait.

  bench/stuck_jobs.py [--rows 1000000] [--memory-rows 10000000] [--directory DIR]

A table of jobs, every tenth of them stuck; another process writes a row every 2 ms. Prints a table: wall time and its
ratio, the longest wait of the other writer, and the peak memory of the clean-up, unless there are 0
memory rows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAKE = """
CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, prompt TEXT, result TEXT, updated_at TEXT);
CREATE TABLE beats (id INTEGER PRIMARY KEY);
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {rows})
INSERT INTO jobs SELECT lower(hex(randomblob(16))), iif(i % 10, 'completed', 'processing'), hex(randomblob(100)),
    hex(randomblob(50)), strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-' || (60 + i % 100000) || ' minutes') FROM n;
"""
UPDATE = (
    "UPDATE jobs SET status = 'pending' WHERE status = 'processing'"
    " AND julianday(updated_at) < julianday('now', '-30 minutes')"
)
# Prints its peak memory in KiB.
OURS = r"""
import json, resource, sys
sys.path.insert(0, sys.argv[1])
from module_utils._stuck_jobs.api import clean_up, engine_of, read_database
(report,) = clean_up(engine_of, [read_database(json.loads(sys.argv[2]))])
assert not report.error, report.error
print(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
"""
# The other writer: prints its longest wait, in seconds.
WRITER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=120, isolation_level=None)
longest = 0
print("ready", flush=True)
while True:
    begun = time.perf_counter()
    db.execute("INSERT INTO beats DEFAULT VALUES")
    longest = max(longest, time.perf_counter() - begun)
    if db.execute("SELECT 1 FROM beats WHERE id = -1").fetchone():
        break
    time.sleep(0.002)
print(longest)
"""


def make(directory: Path, rows: int, journal: str, indexed: bool) -> Path:
    path = directory / f"{rows}-{journal}-{indexed}.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute(f"PRAGMA journal_mode = {journal}")
    db.executescript("BEGIN;" + MAKE.format(rows=rows) + "COMMIT;")
    if indexed:
        db.execute("CREATE INDEX by_status ON jobs (status)")
    db.close()
    return path


def fresh(path: Path) -> Path:
    """A copy that is in the page cache and on the disk."""
    copy = path.with_suffix(".copy")
    for old in path.parent.glob(f"{copy.name}*"):
        old.unlink()
    shutil.copyfile(path, copy)
    os.sync()
    return copy


def ours(path: Path) -> list[str]:
    options = {"name": "jobs", "path": str(path), "table": "jobs", "record_directory": str(path.parent / "records")}
    return [sys.executable, "-c", OURS, str(ROOT / "plugins"), json.dumps(options)]


def shell(path: Path) -> list[str]:
    return ["sqlite3", "-cmd", ".timeout 120000", str(path), UPDATE]


def measure(path: Path, command) -> tuple[float, float]:
    """Seconds, and the longest wait of the other writer in seconds."""
    copy = fresh(path)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(copy)], stdout=subprocess.PIPE, text=True)
    writer.stdout.readline()
    time.sleep(0.3)
    begun = time.perf_counter()
    subprocess.run(command(copy), check=True, capture_output=True)
    took = time.perf_counter() - begun
    db = sqlite3.connect(copy, timeout=120)
    db.execute("INSERT INTO beats VALUES (-1)")
    db.commit()
    stuck = db.execute("SELECT count(*) FROM jobs WHERE status = 'processing'").fetchone()[0]
    db.close()
    if stuck:
        raise SystemExit(f"{stuck} jobs are still stuck")
    return took, float(writer.communicate()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory-rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds, of which the median counts")
    parser.add_argument("--directory", type=Path, help="where the databases are created; by default a temporary one")
    args = parser.parse_args()
    print(f"{args.rows:,} rows, a tenth stuck; {os.cpu_count()} CPUs, SQLite {sqlite3.sqlite_version}\n")
    with tempfile.TemporaryDirectory(prefix="evenkeel-bench-", dir=args.directory) as directory:
        compare(Path(directory), args.rows, args.rounds)
        if args.memory_rows:
            compare_memory(Path(directory), args.rows, args.memory_rows)


def compare(directory: Path, rows: int, rounds: int) -> None:
    print(
        "| journal | index on status | one UPDATE | clean-up | ratio | longest wait: UPDATE | longest wait: clean-up |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    for journal in ("wal", "delete"):
        for indexed in (False, True):
            path = make(directory, rows, journal, indexed)
            runs = [(measure(path, shell), measure(path, ours)) for _ in range(rounds)]
            theirs, mine = (statistics.median(run[side][0] for run in runs) for side in (0, 1))
            waits = [max(run[side][1] for run in runs) * 1000 for side in (0, 1)]
            print(
                f"| {journal} | {'yes' if indexed else 'no'} | {theirs:.2f} s | {mine:.2f} s | {mine / theirs:.2f} |"
                f" {waits[0]:.0f} ms | {waits[1]:.0f} ms |",
                flush=True,
            )
            for file in directory.glob(f"{path.stem}.*"):
                file.unlink()


def compare_memory(directory: Path, few: int, many: int) -> None:
    peaks = []
    for rows in (few, many):
        path = make(directory, rows, "wal", False)
        peaks.append(int(subprocess.check_output(ours(path), text=True)))
        path.unlink()
        print(f"\npeak memory with {rows:,} rows: {peaks[-1] / 1024:.1f} MiB", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
