"""The processes of the benchmark on SQLite.

sqlite_sides.py ours PATH           cleans up; prints its peak memory in KiB
sqlite_sides.py floor PATH [INDEX]  the same batches and pauses around a bare UPDATE
sqlite_sides.py other PATH SQL      works beside these
"""

from __future__ import annotations

import resource
import sqlite3
import sys
from pathlib import Path

from every_2_ms import every_2_ms

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))
from module_utils._stuck_jobs.api import clean_up, engine_of, read_database
from module_utils._stuck_jobs.batches import Batches
from module_utils._stuck_jobs.engines.sqlite.access import connect
from module_utils._stuck_jobs.engines.sqlite.write import Session
from module_utils._stuck_jobs.pace import Pace

RANGE = 100  # rowids, of which a tenth are stuck


def options(path: str):
    directory = str(Path(path).with_name("records"))
    return read_database({"name": "jobs", "path": path, "table": "jobs", "record_directory": directory})


def ours(path: str) -> None:
    (report,) = clean_up(engine_of, [options(path)])
    if report.error:
        raise SystemExit(report.error)
    print(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def floor(path: str, index: str) -> None:
    """No record, and nothing is done in Python for each row."""
    how = f"INDEXED BY {index}" if index else "NOT INDEXED"
    old = "julianday(updated_at) < julianday('now', '-30 minutes')"
    where = f"rowid > ? AND rowid <= ? AND status = 'processing' AND {old}"
    sql = f"UPDATE jobs {how} SET status = 'pending' WHERE {where}"  # noqa: S608 -- all of it is ours
    database = options(path)
    with connect(database, write=True) as connection:
        pace = Pace(Session(connection, database))
        ((last,),) = connection.execute("SELECT max(rowid) FROM jobs")
        for ranges in Batches(pace, [range(0, last, RANGE)], lambda _start: RANGE // 10):
            with pace.transaction(ranges):
                connection.execute(sql, (ranges[0], ranges[-1] + RANGE))


def other(path: str, sql: str) -> None:
    connection = sqlite3.connect(path, timeout=120, isolation_level=None)
    every_2_ms(lambda: connection.execute(sql).fetchall())


if __name__ == "__main__":
    {"ours": ours, "floor": floor, "other": other}[sys.argv[1]](*sys.argv[2:])
