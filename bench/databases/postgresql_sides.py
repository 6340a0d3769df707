"""The processes of the benchmark on PostgreSQL.

  postgresql_sides.py NAME OPTIONS    with the options of a database as JSON

NAME: update, floor (the same fenced statements, batch by batch) or ours, or one of those that work beside these.
"""

# ruff: noqa: S311 -- chance, not secrets

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import psycopg
from every_2_ms import every_2_ms

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))
from module_utils._stuck_jobs.api import clean_up, engine_of, read_database
from module_utils._stuck_jobs.batches import Batches
from module_utils._stuck_jobs.engines.postgresql import login
from module_utils._stuck_jobs.engines.postgresql.access import Access
from module_utils._stuck_jobs.engines.postgresql.rows import BATCH, PAGE
from module_utils._stuck_jobs.engines.postgresql.write import Session
from module_utils._stuck_jobs.pace import Pace

OLD = "updated_at < now() - interval '30 minutes'"
# Columns as arrays, so that nothing is done in Python for each row.
READ = f"""SELECT array_agg(id), array_agg(status), array_agg(updated_at::text) FROM (SELECT * FROM public.jobs
WHERE status = 'processing' AND {OLD} AND (id > %s OR %s IS NULL) ORDER BY id LIMIT {PAGE}) page"""  # noqa: S608
HOLD = """SELECT array_agg(id) FROM (SELECT v.id FROM unnest(%s::{key}[], %s::text[], %s::text[])
AS v (id, status, updated_at) JOIN public.jobs t ON t.id = v.id WHERE t.status IS NOT DISTINCT FROM v.status
AND t.updated_at::text IS NOT DISTINCT FROM v.updated_at FOR NO KEY UPDATE OF t SKIP LOCKED) held"""
WRITE = "UPDATE public.jobs t SET status = 'pending' FROM unnest(%s::{key}[]) AS v (id) WHERE t.id = v.id"


def ours(options) -> None:
    (report,) = clean_up(engine_of, [read_database(options)])
    if report.error:
        raise SystemExit(report.error)


def update(options) -> None:
    connect(options).execute(f"UPDATE jobs SET status = 'pending' WHERE status = 'processing' AND {OLD}")  # noqa: S608


def floor(options) -> None:
    database = read_database(options)
    access = Access(database, login.parameters(database, {}))
    ((key,),) = access.run(
        "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'public.jobs'::regclass AND attname = 'id'"
    )
    pace, last = Pace(Session(access), BATCH), None
    while (page := access.run(READ.replace("%s", f"%s::{key}"), [last, last])[0])[0]:
        for numbers in Batches(pace, [range(len(page[0]))], lambda _number: 1):
            with pace.transaction(numbers):
                batch = [column[numbers[0] : numbers[-1] + 1] for column in page]
                ((held,),) = access.run(HOLD.format(key=key), batch)
                access.run(WRITE.format(key=key), [held])
        last = page[0][-1]


def writer(options) -> None:
    connection = connect(options)
    every_2_ms(lambda: connection.execute("INSERT INTO beats DEFAULT VALUES"))


def writer_of_stuck_rows(options) -> None:
    connection = connect(options)
    keys = connection.execute("SELECT id FROM jobs WHERE status = 'processing'").fetchall()
    every_2_ms(
        lambda: connection.execute("UPDATE jobs SET updated_at = clock_timestamp() WHERE id = %s", random.choice(keys))
    )


def reader(options) -> None:
    connection = connect(options)
    keys = connection.execute("SELECT id FROM jobs WHERE status = 'processing'").fetchall()
    every_2_ms(lambda: connection.execute("SELECT * FROM jobs WHERE id = %s", random.choice(keys)).fetchall())


def connect(options) -> psycopg.Connection:
    where = {"host": options["login_unix_socket"], "dbname": options["login_db"], "user": options["login_user"]}
    return psycopg.connect(**where, autocommit=True)


if __name__ == "__main__":
    globals()[sys.argv[1].replace(" ", "_")](json.loads(sys.argv[2]))
