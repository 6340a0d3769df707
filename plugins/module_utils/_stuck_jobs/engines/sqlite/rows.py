# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the rows of an application's database for the plan."""

# ruff: noqa: S608 -- every identifier in our SQL was looked up in the database first and is quoted; values are bound.
from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, TypeVar

from ...change import size_of
from ...options import Database, Table
from .. import base
from ..base import NotText, Referrer, Row
from .access import in_wal_mode
from .schema import Schema, marks, q, read_schema, unnamed_referrers

PAGE = 10_000  # rows that one query reads, and the most that a batch has
DELETE_PAGE = 200  # complete rows, which may be large
SHORT_PAGE, WINDOW = 3_000, 10_000  # rows that one query reads, or scans, if readers block writers
PAGE_BYTES = 16 * 1024**2  # of texts and blobs, after which a page ends early
BOUND = 200  # values of keys that one query binds; old versions of SQLite allow 999 in all

_T = TypeVar("_T")


class Rows(base.Rows):
    """Reads by SQL."""

    schemas: Mapping[str, Schema]

    def __init__(self, connection: sqlite3.Connection, database: Database) -> None:
        super().__init__(database, read_schema(connection, database))
        self._connection = connection
        self.referrers = unnamed_referrers(connection, database) if database.action.removes else []
        self._also, self._values = _are(database.conditions)
        self._readers_block = not in_wal_mode(connection)
        self.page_size = DELETE_PAGE if database.action.removes else SHORT_PAGE if self._readers_block else PAGE
        self.met_not_text = False

    def stuck(self) -> Iterator[list[Row]]:
        """Pages of rows with a stuck status, by key, so that no query takes long."""
        schema, statuses = self.schemas[self.database.table], self.database.stuck_statuses
        status = q(self.database.status_column)
        use_index = schema.status_index and (schema.index_is_of_status_alone or all(map(self._fit_a_page, statuses)))
        # The + stops SQLite from using an index. Inside the parentheses, it would remove the column's affinity.
        is_stuck = f"+({status} IN ({marks(statuses)}))"
        if use_index:
            for each in statuses:
                by_index = f" INDEXED BY {q(schema.status_index)}"
                yield from self._paged(f"{status} IS ?{self._also}", [each, *self._values], by_index)
        else:
            scan = self._windowed if self._readers_block else self._paged
            yield from scan(f"{is_stuck}{self._also}", [*statuses, *self._values])

    def _fit_a_page(self, status: Any) -> bool:
        """If other columns follow the status in its index, SQLite sorts all remaining rows for each page."""
        table, index = q(self.database.table), q(self.schemas[self.database.table].status_index)
        of_it = f"SELECT 1 FROM {table} INDEXED BY {index} WHERE {q(self.database.status_column)} IS ?"
        ((count,),) = self._fetch(f"SELECT count(*) FROM ({of_it} LIMIT {PAGE + 1})", [status])
        return count <= PAGE

    def find(self, job: str) -> tuple[Row, bool] | None:
        """The row of an id or of an unambiguous prefix of one. A number is no prefix of another number."""
        database, keys = self.database, list(map(q, self.database.id_column))
        texts = [f"CASE typeof({key}) WHEN 'blob' THEN lower(hex({key})) ELSE CAST({key} AS TEXT) END" for key in keys]
        text, types = " || '/' || ".join(texts), " AND ".join(f"typeof({key}) IN ('text', 'blob')" for key in keys)
        is_stuck = f"{q(database.status_column)} IN ({marks(database.stuck_statuses)}){self._also}"
        select = f"SELECT {self._selected(database)}, {is_stuck} FROM {q(database.table)}"
        ways = [(f"{text} = ?", (job,)), (f"{types} AND substr({text}, 1, ?) = ?", (len(job), job))]
        if len(keys) == 1:
            ways.insert(0, (f"{keys[0]} = ? AND {text} = ?", (job, job)))  # by its index; 7e2 is not 700
        for where, values in ways:
            rows = self._fetch(f"{select} WHERE {where} LIMIT 6", (*database.stuck_statuses, *self._values, *values))
            self._check_is_one(job, rows)
            if rows:
                return rows[0][:-1], bool(rows[0][-1])
        return None

    def children_of(self, child: Table, keys: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Row]]:
        """The rows that belong to these parents, each with its parent's number."""
        names = [f"k{number}" for number in range(len(child.foreign_key))]
        parent = q(f"parent of {child.table}")  # a name that differs from the child's
        columns = [f"{q(child.table)}.{q(column)}" for column in child.foreign_key]
        # Compares twice: with the column's collation, for the index, and exactly, as 'A' does not belong to 'a'.
        matches = " AND ".join(
            f"{column} = {parent}.{name}{exactly}"
            for exactly in ("", " COLLATE BINARY")
            for column, name in zip(columns, names)
        )
        if self.schemas[child.table].is_indexed_by_parent:
            source = f"{parent} CROSS JOIN {q(child.table)} ON {matches}"
        else:  # one scan of the table, not one for each parent
            is_any = f"({', '.join(columns)}) IN (SELECT {', '.join(names)} FROM {parent})"
            source = f"{q(child.table)} CROSS JOIN {parent} ON {is_any} AND {matches}"
        select = f"SELECT {parent}.n, {self._selected(child)} FROM {source}"
        where, statuses = "", ()
        if not self.database.action.removes and child.status_column:
            where, statuses = (
                f" WHERE {q(child.status_column)} IN ({marks(child.stuck_statuses)})",
                child.stuck_statuses,
            )
        order = ", ".join(f"{q(child.table)}.{column}" for column in self.schemas[child.table].locator)
        size = max(1, BOUND // len(names))
        for start in range(0, len(keys), size):
            some = keys[start : start + size]
            values = ", ".join(f"({start + number}, {marks(key)})" for number, key in enumerate(some))
            parents = f"WITH {parent} (n, {', '.join(names)}) AS (VALUES {values})"
            sql = f"{parents} {select}{where} ORDER BY {parent}.n, {order}"
            for row in self._fetch(sql, [value for key in some for value in key] + list(statuses)):
                yield row[0], row[1:]

    def referring(
        self, referrer: Referrer, places: Sequence[tuple[int, tuple[Any, ...]]]
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The places of the rows that refer to these, with their numbers; () for a table outside the family."""
        parent, own = self.schemas[referrer.parent], self.schemas.get(referrer.table)
        names = [f"k{number}" for number in range(len(parent.locator))]
        selected = ", ".join(["place.n", *(f"referring.{column}" for column in (own.locator if own else ()))])
        is_there = " AND ".join(f"referred.{column} = place.{name}" for column, name in zip(parent.locator, names))
        # The parent's column is the left operand, so that its collation is used, as by SQLite's foreign keys.
        refers = " AND ".join(
            f"referred.{q(to)} = referring.{q(column)}" for column, to in zip(referrer.columns, referrer.to)
        )
        # "main" distinguishes a table from our VALUES, whatever its name.
        select = (
            f"SELECT DISTINCT {selected} FROM place CROSS JOIN main.{q(referrer.parent)} AS referred ON {is_there}"
            f" CROSS JOIN main.{q(referrer.table)} AS referring ON {refers}"
        )
        size = max(1, BOUND // len(names))
        for start in range(0, len(places), size):
            some = places[start : start + size]
            values = ", ".join(f"({number}, {marks(place)})" for number, place in some)
            sql = f"WITH place (n, {', '.join(names)}) AS (VALUES {values}) {select}"
            for row in self._fetch(sql, [value for _number, place in some for value in place]):
                yield row[0], row[1:]

    def _paged(self, where: str, values: Sequence[Any], how: str = "") -> Iterator[list[Row]]:
        schema, size = self.schemas[self.database.table], self.page_size
        select = f"SELECT {self._selected(self.database)} FROM {q(self.database.table)}{how}"
        key = ", ".join(schema.locator)
        tail = f"ORDER BY {key} LIMIT {size}"
        rows, is_whole = self._page(f"{select} WHERE {where} {tail}", values)
        while rows:
            yield rows
            if is_whole and len(rows) < size:
                return
            last = rows[-1][: len(schema.locator)]
            after = f"({key}) > ({_marks(last)})"
            rows, is_whole = self._page(f"{select} WHERE {where} AND {after} {tail}", [*values, *last])

    def _windowed(self, where: str, values: Sequence[Any]) -> Iterator[list[Row]]:
        """Pages for a journal mode in which readers block writers: no query scans more than a window of the table."""
        schema = self.schemas[self.database.table]
        key = ", ".join(schema.locator)
        table, last = q(self.database.table), ()
        select = f"SELECT {self._selected(self.database)} FROM {table}"
        while True:
            after = f"({key}) > ({_marks(last)})" if last else "1"
            self._connection.execute("BEGIN")  # one transaction: the second query uses the pages cached by the first
            end = f"SELECT {key} FROM {table} WHERE {after} ORDER BY {key} LIMIT 1 OFFSET {WINDOW - 1}"
            until = next(iter(self._fetch(end, last)), ())
            up_to = f"({key}) <= ({_marks(until)})" if until else "1"
            sql = f"{select} WHERE {after} AND {up_to} AND {where} ORDER BY {key}"
            rows, is_whole = self._page(sql, [*last, *until, *values])
            self._connection.execute("COMMIT")
            yield rows
            if is_whole and not until:
                return
            last = until if is_whole else rows[-1][: len(schema.locator)]

    def _fetch(self, sql: str, values: Sequence[Any]) -> list[Row]:
        return self._read(sql, values, sqlite3.Cursor.fetchall)

    def _page(self, sql: str, values: Sequence[Any]) -> tuple[list[Row], bool]:
        """The rows up to a size that can be held, at least one, and whether these are all."""
        return self._read(sql, values, _page_of)

    def _read(self, sql: str, values: Sequence[Any], how: Callable[[sqlite3.Cursor], _T]) -> _T:
        """Text that is not UTF-8 becomes NotText, so that one such row does not stop the others."""
        try:
            return how(self._connection.execute(sql, values))
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" not in str(error):
                raise
        self.met_not_text, self._connection.text_factory = True, _text
        try:
            return how(self._connection.execute(sql, values))
        finally:
            self._connection.text_factory = str

    def _selected(self, table: Table) -> str:
        """The row's locator, then the columns to read."""
        columns = [*self.schemas[table.table].locator, *map(q, self.columns[table.table])]
        return ", ".join(f"{q(table.table)}.{column}" for column in columns)


def _are(conditions: Mapping[str, Sequence[Any]]) -> tuple[str, list[Any]]:
    """SQL of whether the columns have these values, to follow another condition, and its parameters."""
    sql, parameters = "", []
    for column, values in conditions.items():
        some = [value for value in values if value is not None]
        ways = [f"{q(column)} IN ({marks(some)})"] if some else []
        ways += [f"{q(column)} IS NULL"] if None in values else []
        sql += f" AND +({' OR '.join(ways)})"  # by no index
        parameters += some
    return sql, parameters


def _page_of(cursor: sqlite3.Cursor) -> tuple[list[Row], bool]:
    rows, size = [], 0
    for row in cursor:
        rows.append(row)
        size += size_of(row)
        if size > PAGE_BYTES:
            cursor.close()
            return rows, False
    return rows, True


def _text(value: bytes) -> str | NotText:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return NotText(value)


def _marks(place: Sequence[Any]) -> str:
    """The parameters for a place: bytes that the database stores as text are cast to text."""
    return ", ".join("CAST(? AS TEXT)" if isinstance(value, NotText) else "?" for value in place)
