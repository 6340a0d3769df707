# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing, in batches that hold the database for a moment each, with room for other writers in between."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import Any, Callable, Iterable, Iterator, Sequence, TypeVar

from .access import in_wal_mode
from .change import Change, Shape
from .options import Database
from .plan import Plan

FIRST = 100.0  # rows of the first batch; then as many as can be written in the time
LEAST, MOST = 20, 10_000
PAUSE = 0.025  # seconds that the others get
COMPANY, ALONE = 1.0, 0.001  # seconds without anybody's write after which we are alone, and the pause then

_T = TypeVar("_T")
_R = TypeVar("_R")


class Pace:
    """How long a batch may hold the database, and how long the others then get to take their turn.

    A process that waits for SQLite looks again after 1, 2, 5, 10, 15, 20 ms, then three times after 25 ms, then less
    often. So it is sure of its turn in a pause of 25 ms if it had to wait for no more than 100; and we see it take its
    turn, and go on at once. With a rollback journal each batch of ours syncs the disk twice and makes every process
    read anew: they are fewer and longer.
    """

    def __init__(self, connection: sqlite3.Connection, most: int = MOST) -> None:
        self._connection, self._most = connection, most
        self._hold = 0.01 if in_wal_mode(connection) else 0.06  # seconds
        self._size = min(FIRST, most)
        self._let_go = 0.0  # when our last batch ended
        self._version = self._read_version()  # of the database, then
        self._company = time.monotonic() + COMPANY  # until when we think that others want to write
        self.in_doubt = False  # after an exception: may the last transaction be committed?
        self.locked = 0.0
        self.longest = 0.0

    def batches(self, jobs: Iterable[_T], rows_of: Callable[[_T], int]) -> Iterator[Sequence[_T]]:
        """Of as many rows as can be written in the time. They are sought while the others have their turn."""
        batch, rows = [], 0
        for job in jobs:
            batch.append(job)
            rows += rows_of(job)
            if rows >= self._size:
                yield batch
                self._version = self._read_version()
                batch, rows = [], 0
        if batch:
            yield batch

    @contextlib.contextmanager
    def transaction(self, rows: int) -> Iterator[None]:
        """Holds the database to write so many rows; before that, the others have their turn."""
        self.in_doubt = False
        self._give_way()
        self._connection.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        try:
            yield
            self.in_doubt = True
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
                self.in_doubt = False
            self._let_go = time.monotonic()
        took = self._let_go - begun
        self.locked += took
        self.longest = max(self.longest, took)
        # Towards as many rows as may be held; small batches say little about it.
        if rows >= self._size / 2:
            self._size = min(max(self._size * min(2.0, self._hold / max(took, 1e-4)), LEAST), self._most)

    def _give_way(self) -> None:
        """Until another process has written; where none has for a while, for a moment only."""
        while self._read_version() == self._version:
            now = time.monotonic()
            if now >= self._let_go + (PAUSE if now < self._company else ALONE):
                return
            time.sleep(0.0005)
        self._company = time.monotonic() + COMPANY

    def _read_version(self) -> int:
        """Another number as soon as somebody else has committed."""
        return self._connection.execute("PRAGMA data_version").fetchone()[0]


def in_parts(jobs: Sequence[_T], attempt: Callable[[Sequence[_T]], _R]) -> Iterator[tuple[Sequence[_T], _R | str]]:
    """What comes of an attempt on these jobs; where SQLite refuses them only together, at the commit, by halves.

    So a constraint that is looked at late keeps no job from its turn but its own: that one comes with SQLite's words.
    """
    try:
        result = attempt(jobs)
    except sqlite3.IntegrityError as error:
        if len(jobs) == 1:
            yield jobs, str(error)
            return
        half = len(jobs) // 2
        yield from in_parts(jobs[:half], attempt)
        yield from in_parts(jobs[half:], attempt)
    else:
        yield jobs, result


def write(
    connection: sqlite3.Connection, plan: Plan, changes: Sequence[Change]
) -> tuple[list[Change], dict[tuple[object, ...], str]]:
    """Writes the jobs that still are as they were read, each with its family or not at all.

    Gives back those, and the places of those that SQLite refuses, with its words. Within a transaction, of which it may
    make another one.
    """
    unharmed = plan.unharmed(changes)
    with contextlib.suppress(sqlite3.IntegrityError):
        if _write_all(connection, plan.database, unharmed):
            return unharmed, {}
    # One by one: a savepoint makes SQLite keep a second copy of each page, so it is for the rare batch that needs it.
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    connection.execute("BEGIN IMMEDIATE")
    done, refused = [], {}
    for change in plan.unharmed(changes):
        try:
            if _write_one(connection, change):
                done.append(change)
        except sqlite3.IntegrityError as error:
            if not connection.in_transaction:  # RAISE(ROLLBACK) of a trigger took back all of them
                raise
            refused[change.place] = str(error)
    return done, refused


def _write_all(connection: sqlite3.Connection, database: Database, changes: Sequence[Change]) -> bool:
    """All at once; False where a row is no longer as it was read, or a trigger of the database made it so by now."""
    groups: dict[Shape, list[tuple[Any, ...]]] = {}
    for change in changes:
        for row in change.flat():
            groups.setdefault(row.shape, []).append(row.after + row.row)
    # Children before their parents, for the sake of foreign keys.
    order = [table.table for table in database.family()]
    for shape in sorted(groups, key=lambda shape: order.index(shape.table.table), reverse=True):
        rows = groups[shape]
        done = connection.executemany(shape.write_sql, rows)
        if done.rowcount != len(rows):
            return False
    return True


def _write_one(connection: sqlite3.Connection, change: Change) -> bool:
    """Looks at the whole family before it writes any of it: triggers may change the rest, or delete it."""
    rows = change.flat()
    if not all(connection.execute(row.shape.look_sql, row.row).fetchone() for row in rows):
        return False
    with savepoint(connection):
        for row in reversed(rows):
            connection.execute(row.shape.place_sql, row.after + row.place)
        if any(_is_kept(connection, row) for row in rows):
            raise sqlite3.IntegrityError("a trigger keeps it as it is")
    return True


def _is_kept(connection: sqlite3.Connection, row: Change) -> bool:
    """By RAISE(IGNORE) of a trigger: then a write does nothing, and says nothing."""
    is_delete = row.shape.action == "delete"
    sql, values = (row.shape.there_sql, row.place) if is_delete else (row.shape.look_sql, row.row)
    return connection.execute(sql, values).fetchone() is not None


@contextlib.contextmanager
def savepoint(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, within a transaction that goes on."""
    connection.execute("SAVEPOINT job")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # SQLite may have rolled all of it back, as when the disk is full
            connection.execute("ROLLBACK TO job")
        raise
    finally:
        if connection.in_transaction:
            connection.execute("RELEASE job")
