# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes rows that are still as they were read, in transactions with pauses for other writers, and restores them."""

# ruff: noqa: S608 -- every identifier in our SQL was looked up in the database or comes from a record of ours, and is
# quoted; values are bound.
from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable

from ...change import Change, Recorded, Shape
from ...options import Database
from .. import base
from ..base import Refused
from .access import explained
from .compile import check
from .connection import LOOK, Connection
from .rows import Rows
from .schema import marks, or_abort, q

HOLD = 0.015  # seconds
PAUSE = 0.025  # seconds for other writers between two transactions
COMPANY, ALONE = 1.0, 0.001  # seconds without another writer after which there is none, and the pause then


class Session(base.Session):
    """An open database of SQLite.

    A process that waits for SQLite's lock tries again when it has waited for 1, 3, 8, 18, 33, 53, 78 and 103 ms, then
    less often. So a pause of 25 ms is enough for a process that has waited for at most 100 ms; we notice its write and
    continue at once. Our transactions end before its attempt at 18 ms; if it then meets a query of ours, which with a
    rollback journal lets it begin but not commit, there is the one at 33 ms.
    """

    hold = HOLD

    def __init__(self, connection: Connection, database: Database) -> None:
        self._connection, self._database = connection, database
        self._statements: dict[Shape, Statements] = {}
        self._let_go = 0.0  # when our last transaction ended
        self._version = connection.data_version()  # when it began
        self._company = time.monotonic() + COMPANY  # until when other writers are expected

    def rows(self) -> Rows:
        return Rows(self._connection, self._database)

    def check(self, shapes: Iterable[Shape]) -> None:
        for shape in shapes:
            if shape.is_written:
                check(self._connection, self._database, shape.table.table, self._of(shape).of_run_and_undo)

    # Transactions

    def begin(self) -> None:
        with explained(self._database):
            self._wait()
            self._connection.execute("BEGIN IMMEDIATE")
            self._version = self._connection.data_version()

    def commit(self) -> None:
        with explained(self._database):
            self._connection.execute("COMMIT")
        self._let_go = time.monotonic()

    def roll_back(self) -> bool:
        if not self._connection.in_transaction:
            return False
        self._connection.execute("ROLLBACK")
        self._let_go = time.monotonic()
        return True

    def _wait(self) -> None:
        """Waits until another process has written or the pause is over. If none has for a while, the pause is short."""
        while self._connection.data_version() == self._version:
            now = time.monotonic()
            if now >= self._let_go + (PAUSE if now < self._company else ALONE):
                return
            time.sleep(LOOK)
        self._company = time.monotonic() + COMPANY

    # Changes

    def write(
        self, changes: Sequence[Change], unharmed: Callable[[Sequence[Change]], list[Change]]
    ) -> tuple[list[Change], dict[tuple[Any, ...], str]]:
        with explained(self._database):
            kept = unharmed(changes)
            with contextlib.suppress(sqlite3.IntegrityError):
                if self._write_all(kept):
                    return kept, {}
            # One by one, for the rare batch that needs it, as a savepoint makes SQLite keep a second copy of each page.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._connection.execute("BEGIN IMMEDIATE")
            done, refused = [], {}
            for change in unharmed(changes):
                try:
                    if self._write_one(change):
                        done.append(change)
                except sqlite3.IntegrityError as error:
                    if not self._connection.in_transaction:  # RAISE(ROLLBACK) of a trigger has undone all of them
                        raise
                    refused[change.place] = str(error)
            return done, refused

    def _write_all(self, changes: Sequence[Change]) -> bool:
        """Writes all of them; False if a row is no longer as it was read, possibly because of a trigger."""
        groups: dict[Shape, list[tuple[Any, ...]]] = {}
        for change in changes:
            for row in change.flat():
                groups.setdefault(row.shape, []).append(row.after + row.row)
        # Children before their parents, because of foreign keys.
        order = [table.table for table in self._database.family()]
        for shape in sorted(groups, key=lambda shape: order.index(shape.table.table), reverse=True):
            rows = groups[shape]
            done = self._connection.executemany(self._of(shape).write, rows)
            if done.rowcount != len(rows):
                return False
        return True

    def _write_one(self, change: Change) -> bool:
        """Checks the whole family before it writes any of it, as triggers may change or delete the rest."""
        rows = change.flat()
        if not all(self._fetch(self._of(row.shape).look, row.row) for row in rows):
            return False
        with savepoint(self._connection):
            for row in reversed(rows):
                self._connection.execute(self._of(row.shape).write_at_place, row.after + row.place)
            if any(self._is_kept(row) for row in rows):
                raise sqlite3.IntegrityError("a trigger ignored the change")
        return True

    def _is_kept(self, row: Change) -> bool:
        """Whether RAISE(IGNORE) of a trigger has suppressed the write, without an error."""
        statements = self._of(row.shape)
        if row.shape.action.removes:
            return self._fetch(statements.look_at_place, row.place) is not None
        return self._fetch(statements.look, row.row) is not None

    def _of(self, shape: Shape) -> Statements:
        statements = self._statements.get(shape)
        if not statements:
            statements = self._statements[shape] = Statements(shape)
        return statements

    def _fetch(self, sql: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
        return self._connection.execute(sql, values).fetchone()

    # Restoring

    def put_back_whole(self, job: Sequence[Recorded]) -> bool:
        with explained(self._database):
            try:
                with savepoint(self._connection):
                    for row in job:
                        if not self.put_back(row):
                            raise _ChangedSince
            except (_ChangedSince, Refused):  # a newer row may have the same unique value
                if not self._connection.in_transaction:  # RAISE(ROLLBACK) of a trigger has undone the others too
                    raise
                return False
            return True

    def put_back(self, row: Recorded) -> bool:
        with explained(self._database):
            table, abort = q(row.table), or_abort(self._connection, row.table)
            if row.action.removes:
                if self.is_there(row, {}):
                    return False
                self._connection.execute(insertion(table, tuple(row.before), abort), list(row.before.values()))
                return True
            settings = ", ".join(f"{q(column)} = ?" for column in row.after)
            where, values = _where({**row.key, **row.after})
            sql = f"UPDATE {abort} {table} SET {settings} WHERE {where}"
            return self._connection.execute(sql, [*row.before.values(), *values]).rowcount > 0

    def is_there(self, row: Recorded, like: Mapping[str, Any]) -> bool:
        where, values = _where({**row.key, **like})
        return self._fetch(f"SELECT 1 FROM {q(row.table)} WHERE {where} LIMIT 1", values) is not None


class Statements:
    """The SQL of all changes of one shape."""

    def __init__(self, shape: Shape) -> None:
        table = q(shape.table.table)
        at_place = " AND ".join(f"{column} = ?" for column in shape.schema.locator)
        as_read = " AND ".join(f"{q(column)} IS ?" for column in shape.read)
        if shape.action.removes:
            statement = f"DELETE FROM {table}"
        else:
            settings = ", ".join(f"{q(column)} = ?" for column in shape.set)
            statement = f"UPDATE {shape.schema.or_abort} {table} SET {settings}"
        # Writes the row if it is as it was read. Parameters: the new values, then the row.
        self.write = f"{statement} WHERE {at_place} AND {as_read}"
        # Writes the row unconditionally. Parameters: the new values, then the place.
        self.write_at_place = f"{statement} WHERE {at_place}"
        # Finds the row if it is as it was read. Parameters: the row.
        self.look = f"SELECT 1 FROM {table} WHERE {at_place} AND {as_read}"
        # Finds the row unconditionally. Parameters: the place.
        self.look_at_place = f"SELECT 1 FROM {table} WHERE {at_place}"
        # What a run executes, and an undo of it.
        self.of_run_and_undo = [self.write]
        if shape.action.removes:
            self.of_run_and_undo.append(insertion(table, shape.schema.columns, shape.schema.or_abort))


def insertion(table: str, columns: Sequence[str], abort: str) -> str:
    """SQL that restores a deleted row. Parameters: its values."""
    return f"INSERT {abort} INTO {table} ({', '.join(map(q, columns))}) VALUES ({marks(columns)})"


class _ChangedSince(Exception):
    """A row is no longer as the run left it."""


def _where(like: Mapping[str, Any]) -> tuple[str, list[Any]]:
    return " AND ".join(f"{q(column)} IS ?" for column in like), list(like.values())


@contextlib.contextmanager
def savepoint(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, within a transaction that continues."""
    connection.execute("SAVEPOINT job")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # SQLite rolls the whole transaction back if, for example, the disk is full
            connection.execute("ROLLBACK TO job")
        raise
    finally:
        if connection.in_transaction:
            connection.execute("RELEASE job")
