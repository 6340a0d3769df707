"""The two databases: jobs.db, and batch_processing.db with batches and their links.

A row goes pending → processing → completed or failed. In WAL mode, the front end can read while workers write.
"""

import os
import sqlite3
import uuid
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

DATA = Path(os.environ.get("SLIDESHOW_DATA", "/opt/slideshow/data"))
DATABASE = {"jobs": "jobs.db", "batches": "batch_processing.db", "links": "batch_processing.db"}
COMMON = """
    id TEXT PRIMARY KEY,
    status TEXT NOT NULL DEFAULT 'pending',
    error TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL"""
SCHEMA = {
    "jobs": f"{COMMON}, images INTEGER NOT NULL, variation_of TEXT REFERENCES jobs (id)",
    "batches": COMMON,
    "links": f"{COMMON}, images INTEGER NOT NULL, url TEXT NOT NULL, batch_id TEXT NOT NULL REFERENCES batches (id)",
}


def now():
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@contextmanager
def database(table):
    """A connection whose changes are one transaction."""
    connection = sqlite3.connect(DATA / DATABASE[table], timeout=30)
    connection.row_factory = sqlite3.Row
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def initialise():
    for table, columns in SCHEMA.items():
        with database(table) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")


def add(table, **values):
    """Inserts a pending row. Returns its id."""
    row = {"id": str(uuid.uuid4()), "created_at": now(), "updated_at": now(), **values}
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    with database(table) as db:
        db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))  # noqa: S608 (names are constants)
    return row["id"]


def start(table, row_id):
    """Sets the row to processing and returns it; None if it is done or deleted. A redelivered task may continue."""
    with database(table) as db:
        changed = db.execute(
            f"UPDATE {table} SET status = 'processing', updated_at = ?"  # noqa: S608
            " WHERE id = ? AND status IN ('pending', 'processing')",
            (now(), row_id),
        ).rowcount
    return get(table, row_id) if changed else None


def finish(table, row_id, status, error=None):
    with database(table) as db:
        db.execute(
            f"UPDATE {table} SET status = ?, error = ?, updated_at = ?"  # noqa: S608
            " WHERE id = ? AND status = 'processing'",
            (status, error, now(), row_id),
        )


def close_batch(batch_id):
    """Finish the batch once its last link has."""
    states = {link["status"] for link in links(batch_id)}
    if states <= {"completed", "failed"}:
        finish("batches", batch_id, "failed" if "failed" in states else "completed")


def get(table, row_id):
    with database(table) as db:
        row = db.execute(f"SELECT * FROM {table} WHERE id = ?", (row_id,)).fetchone()  # noqa: S608
    return dict(row) if row else None


def latest(table, limit):
    with database(table) as db:
        rows = db.execute(f"SELECT * FROM {table} ORDER BY created_at DESC, rowid DESC LIMIT ?", (limit,))  # noqa: S608
        return [dict(row) for row in rows]


def links(batch_id):
    with database("links") as db:
        return [dict(row) for row in db.execute("SELECT * FROM links WHERE batch_id = ? ORDER BY rowid", (batch_id,))]
