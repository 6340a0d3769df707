# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing, in batches that hold the database for a moment each, with room for other writers in between."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import Iterator, Sequence, TypeVar

from .access import in_wal_mode
from .change import Change
from .options import Database

FIRST = 100.0  # rows of the first batch; then as many as can be written in the time
LEAST, MOST = 20, 20_000
COMPANY, ALONE = 1.0, 0.001  # seconds without anybody's write after which we are alone, and the pause then

_T = TypeVar("_T")


class Pace:
    """How long a batch may hold the database, and how long the others then get to take their turn, in seconds.

    A process that waits for SQLite looks again after 1, 2, 5, 10, 15, 20, 25 ms, then less often. So it is sure of its
    turn only in a pause as long as that; but we see it take its turn, and go on at once. With a rollback journal each
    batch of ours syncs the disk twice and makes every process read anew: they are fewer and longer.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._hold, self._pause = (0.016, 0.025) if in_wal_mode(connection) else (0.2, 0.1)
        self._size = FIRST
        self._company = time.monotonic() + COMPANY  # until when we think that others want to write
        self.locked = 0.0
        self.longest = 0.0

    def batches(self, page: Sequence[_T]) -> Iterator[Sequence[_T]]:
        start = 0
        while start < len(page):
            size = int(self._size)
            yield page[start : start + size]
            start += size
            self._give_way()

    def _give_way(self) -> None:
        """Until another process has written; where none has for a while, for a moment only."""
        seen, now = self._version(), time.monotonic()
        end = now + (self._pause if now < self._company else ALONE)
        while time.monotonic() < end:
            time.sleep(0.0005)
            if self._version() != seen:
                self._company = time.monotonic() + COMPANY
                return

    def _version(self) -> int:
        """Another number as soon as somebody else has committed."""
        return self._connection.execute("PRAGMA data_version").fetchone()[0]

    @contextlib.contextmanager
    def transaction(self, connection: sqlite3.Connection, size: int) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        try:
            yield
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        took = time.monotonic() - begun
        self.locked += took
        self.longest = max(self.longest, took)
        # Towards as many rows as may be held; small batches say little about it.
        if size >= self._size / 2:
            self._size = min(max(self._size * min(2.0, self._hold / max(took, 1e-4)), LEAST), MOST)


def write(connection: sqlite3.Connection, database: Database, changes: Sequence[Change]) -> list[Change]:
    """Writes the jobs that still are as they were read, each with its family or not at all; gives those back."""
    if _tried(connection, database, changes):
        return list(changes)
    return [change for change in changes if _tried(connection, database, [change])]


def _tried(connection: sqlite3.Connection, database: Database, changes: Sequence[Change]) -> bool:
    connection.execute("SAVEPOINT jobs")
    is_whole = _write_all(connection, database, changes)
    if not is_whole:
        connection.execute("ROLLBACK TO jobs")
    connection.execute("RELEASE jobs")
    return is_whole


def _write_all(connection: sqlite3.Connection, database: Database, changes: Sequence[Change]) -> bool:
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        for row in change.flat():
            groups.setdefault((row.shape.table.table, row.shape.action), []).append(row)
    # Children before their parents, for the sake of foreign keys.
    order = [table.table for table in database.family()]
    for key in sorted(groups, key=lambda key: order.index(key[0]), reverse=True):
        rows = groups[key]
        done = connection.executemany(rows[0].shape.write_sql, [row.after + row.row for row in rows])
        if done.rowcount != len(rows):
            return False
    return True
