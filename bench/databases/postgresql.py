"""PostgreSQL, with an index on the status: serial and random keys. Another process updates the stuck rows, too."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from databases.case import FLOOR, OURS, UPDATE, Case

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1] / "tests/unit"))
from postgresql import Database, Server  # noqa: E402 -- the server of the tests

SETTINGS = {"listen_addresses": "", "max_connections": 40, "max_wal_size": "4GB"}
MAKE = """
CREATE TABLE jobs (id {key} PRIMARY KEY, status text, prompt text, result text, updated_at timestamptz);
CREATE TABLE beats (id serial PRIMARY KEY, at timestamptz DEFAULT now());
INSERT INTO jobs (status, prompt, result, updated_at)
    SELECT CASE WHEN i % 10 = 0 THEN 'processing' ELSE 'completed' END,
    repeat(md5(i::text), 6), repeat(md5((-i)::text), 3), now() - (60 + i % 100000) * interval '1 minute'
    FROM generate_series(1, {rows}) AS i;
CREATE INDEX by_status ON jobs (status);
VACUUM ANALYZE
"""
KEYS = {"serial": "bigserial", "uuid": "uuid DEFAULT gen_random_uuid()"}
SERIAL = f"{OURS} with serial keys"
OTHERS = ("writer", "writer of stuck rows", "reader")
STUCK = "SELECT count(*) FROM jobs WHERE status = 'processing' AND updated_at < now() - interval '30 minutes'"


def cases(directory: Path, rows: int) -> Iterator[Case]:
    directory.chmod(0o711)  # the server, and who cleans up, is another user if this is root
    files = directory / "server"
    files.mkdir()
    server = Server(files, SETTINGS)
    try:
        server.start()
        for key, column in KEYS.items():
            server.sql(f"CREATE DATABASE {key} OWNER app")
            for statement in MAKE.format(key=column, rows=rows).split(";"):
                Database(server, key).sql(statement)
        yield _case(server, directory, "serial", {FLOOR: 1.15})
        yield _case(server, directory, "uuid", {FLOOR: 1.15, SERIAL: 1.3}, SERIAL)
    finally:
        server.stop()


def _case(server: Server, directory: Path, key: str, goals: dict[str, float], *more: str) -> Case:
    copy = Database(server, "copy")
    options = {"name": "jobs", "table": "jobs", "system_user": "nobody" if os.geteuid() == 0 else os.getlogin()}
    options |= {**copy.login, "record_directory": str(directory / "records")}
    contenders = {UPDATE: "update", FLOOR: "floor", OURS: "ours", **dict.fromkeys(more, "ours")}
    return Case(
        f"{key} keys",
        renew=partial(_renew, server, key),
        stuck=lambda: copy.sql(STUCK)[0][0],
        contenders={name: _side(side, options) for name, side in contenders.items()},
        others={name: _side(name, options) for name in OTHERS},
        goals={**goals, "writer": 50, "writer of stuck rows": 50},
        server_cpu=partial(_cpu, server.process.pid),
    )


def _side(name: str, options: dict[str, str]) -> list[str]:
    return [sys.executable, str(HERE / "postgresql_sides.py"), name, json.dumps(options)]


def _renew(server: Server, key: str, contender: str) -> None:
    server.sql("DROP DATABASE IF EXISTS copy WITH (FORCE)")
    server.sql(f"CREATE DATABASE copy OWNER app TEMPLATE {'serial' if contender == SERIAL else key} STRATEGY file_copy")
    server.sql("CHECKPOINT")
    os.sync()
    Database(server, "copy").sql("SELECT count(*) FROM jobs WHERE prompt <> ''")


def _cpu(pid: int) -> float:
    """Seconds that the server's ended processes took: of a contender's connection, but not of the others'."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, times[13:15])) / os.sysconf("SC_CLK_TCK")
