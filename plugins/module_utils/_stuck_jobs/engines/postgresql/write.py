# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes rows that are still as they were read, many by one statement, without waiting for any; and restores them."""

# ruff: noqa: S608 -- every identifier in our SQL was looked up in the database first and is quoted; values are bound.
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Callable

from ...aside import beside
from ...change import Change, Recorded, Shape
from .. import base
from ..base import Refused
from .access import Access
from .rows import Rows
from .tables import Column, Tables, as_text, q

HOLD = 0.03  # seconds; PostgreSQL locks only the rows that are written


class Session(base.Session):
    """An open database of PostgreSQL.

    A row that another process holds counts as changed since: we skip it, so we wait for nobody. Others wait for us at
    most as long as one transaction takes, and only if they want to change one of its rows.
    """

    hold = HOLD
    is_remote = True

    def __init__(self, access: Access) -> None:
        self._access, self._database = access, access.database
        self._tables = Tables(access)
        self._statements: dict[Shape, Statements] = {}

    def now(self) -> float:
        ((now,),) = self._access.run("SELECT extract(epoch FROM clock_timestamp())::float8")
        return now

    def rows(self) -> Rows:
        return Rows(self._access, self._tables, self._database)

    def check(self, shapes: Iterable[Shape]) -> None:
        """Rows() has checked rights and types, and the server itself has all functions that a write calls."""

    # Transactions

    def begin(self) -> None:
        self._access.begin()

    def commit(self) -> None:
        self._access.commit()

    def roll_back(self) -> bool:
        return self._access.roll_back()

    # Changes

    def write(
        self, changes: Sequence[Change], unharmed: Callable[[Sequence[Change]], list[Change]]
    ) -> tuple[list[Change], dict[tuple[Any, ...], str]]:
        """If one is refused, each half is tried, so that the others need few statements."""
        try:
            with self._access.savepoint():
                return self._write_all(changes, unharmed), {}
        except _Partly:
            return self._write_each(changes, unharmed)
        except Refused as error:
            if len(changes) == 1:
                return [], {changes[0].place: str(error)}
        half = len(changes) // 2
        done, refused = self.write(changes[:half], unharmed)
        more, also = self.write(changes[half:], unharmed)
        return [*done, *more], {**refused, **also}

    def _write_all(
        self, changes: Sequence[Change], unharmed: Callable[[Sequence[Change]], list[Change]]
    ) -> list[Change]:
        """Raises _Partly if a row was not written although it is held."""
        # Locked first: then no other process can change a row of a family, or add one that a foreign key ties to it.
        held = unharmed(self._held(changes))
        if self._run("write", held):
            raise _Partly
        return held

    def _write_each(
        self, changes: Sequence[Change], unharmed: Callable[[Sequence[Change]], list[Change]]
    ) -> tuple[list[Change], dict[tuple[Any, ...], str]]:
        """Family by family, for the rare batch that needs it."""
        done, refused = [], {}
        for change in unharmed(self._held(changes)):
            try:
                with self._access.savepoint():
                    self._write_one(change)
                done.append(change)
            except Refused as error:
                refused[change.place] = str(error)
        return done, refused

    def _write_one(self, change: Change) -> None:
        """A row that is gone, or changed, by a trigger of the application's counts as written."""
        ignored = self._run("write", [change])
        rows = [row._replace(children=()) for row in change.flat() if (row.shape.table.table, row.place) in ignored]
        if any(self._held([row]) for row in rows):
            raise Refused("a trigger ignored the change")

    def _held(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Those all of whose rows are as they were read, locked until the transaction ends."""
        left = self._run("hold", changes)
        if not left:
            return changes
        return [change for change in changes if not any((r.shape.table.table, r.place) in left for r in change.flat())]

    def _run(self, what: str, changes: Sequence[Change]) -> set[tuple[str, Any]]:
        """Runs a statement for each shape. Returns the tables and places of the rows that it was not done to."""
        self._access.use_settings(ours=what == "hold")
        groups: dict[Shape, list[Change]] = {}
        for change in changes:
            for row in change.flat():
                groups.setdefault(row.shape, []).append(row)
        order = [table.table for table in self._database.family()]
        left: set[tuple[str, Any]] = set()
        # Parents are locked before their children, and written after them, because of foreign keys.
        for shape in sorted(groups, key=lambda shape: order.index(shape.table.table), reverse=what == "write"):
            if shape not in self._statements:
                self._statements[shape] = Statements(shape)
            rows = groups[shape]
            sql, values = getattr(self._statements[shape], what)(rows)
            places = [row.place for row in rows]
            done = beside(partial(self._access.run, sql, values, places), self.meanwhile)
            if done is not places:
                left.update((shape.table.table, place) for place in set(places).difference(done))
        return left

    # Restoring

    def put_back_whole(self, job: Sequence[Recorded]) -> bool:
        try:
            with self._access.savepoint():
                for row in job:
                    if not self.put_back(row):
                        raise _ChangedSince
        except (_ChangedSince, Refused):  # a newer row may have the same unique value
            return False
        return True

    def put_back(self, row: Recorded) -> bool:
        found = self._tables.find(row.table)
        columns = self._tables.columns(found)
        self._access.use_settings(ours=False)  # for triggers
        if row.action.removes:
            if self.is_there(row, {}):
                return False
            names = ", ".join(map(q, row.before))
            marks = ", ".join(_cast("%s", columns[name]) for name in row.before)
            sql = f"INSERT INTO {found.quoted} AS t ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks}) RETURNING 1"
            return bool(self._access.run(sql, _texts(row.before)))
        settings = ", ".join(f"{q(name)} = {_cast('%s', columns[name])}" for name in row.before)
        where, values = _where(columns, row, row.after)
        sql = f"UPDATE {found.quoted} t SET {settings} WHERE {where} RETURNING 1"
        return bool(self._access.run(sql, [*_texts(row.before), *values]))

    def is_there(self, row: Recorded, like: Mapping[str, Any]) -> bool:
        found = self._tables.find(row.table)
        where, values = _where(self._tables.columns(found), row, like)
        return bool(self._access.run(f"SELECT 1 FROM {found.quoted} t WHERE {where} LIMIT 1", values))


class Statements:
    """The SQL of all changes of one shape, with the values of some of them. Each returns the places of its rows."""

    def __init__(self, shape: Shape) -> None:
        schema, removes = shape.schema, shape.action.removes
        self._shape = shape
        # The positions of the new values that differ from row to row.
        self._own = sorted(number for number, _fill in shape.filled)
        keys, read = schema.of(*schema.locator), schema.of(*shape.read)
        as_keys = [(f"k{number}", key.array) for number, key in enumerate(keys)]
        as_read = [(f"r{number}", column.array) for number, column in enumerate(read)]
        as_own = [(f"s{number}", "text[]") for number in self._own]

        at_place = " AND ".join(
            f"t.{q(key.name)} OPERATOR(pg_catalog.=) v.{key.of_text(name)}"
            for key, (name, _array) in zip(keys, as_keys)
        )
        place = ", ".join(f"v.{name}" for name, _array in as_keys)
        unchanged = " AND ".join(
            f"{column.read('t')} IS NOT DISTINCT FROM v.{name}" for column, (name, _array) in zip(read, as_read)
        )
        # What changes no unique column needs only the weaker lock, so nobody is in the way who just adds a child.
        strength = "UPDATE" if removes or schema.in_unique & set(shape.set) else "NO KEY UPDATE"
        self._hold = (
            f"SELECT {place} FROM {_rows([*as_keys, *as_read])} JOIN {schema.name} t ON {at_place}"
            f" WHERE {unchanged} FOR {strength} OF t SKIP LOCKED"
        )
        if removes:
            self._write = f"DELETE FROM {schema.name} t USING v WHERE {at_place} RETURNING {place}"
        else:
            settings = ", ".join(
                f"{q(name)} = {_cast(f'v.s{number}' if number in self._own else '%s', schema.column[name])}"
                for number, name in enumerate(shape.set)
            )
            self._write = f"UPDATE {schema.name} t SET {settings} FROM v WHERE {at_place} RETURNING {place}"
        self._write = f"WITH v AS (SELECT * FROM {_rows([*as_keys, *as_own])}) {self._write}"

    def hold(self, rows: Sequence[Change]) -> tuple[str, list[Any]]:
        """Locks those that are as they were read and that no other process holds."""
        return self._hold, self._columns(row.row for row in rows)

    def write(self, rows: Sequence[Change]) -> tuple[str, list[Any]]:
        """Writes rows that are locked, whatever a trigger has changed in them since."""
        alike = [as_text(value) for number, value in enumerate(rows[0].after) if number not in self._own]
        different = [[as_text(row.after[number]) for row in rows] for number in self._own]
        return self._write, [*self._columns(row.place for row in rows), *different, *alike]

    @staticmethod
    def _columns(rows: Iterable[tuple[Any, ...]]) -> list[Any]:
        return list(map(list, zip(*rows)))


class _Partly(Exception):
    """A row that is held was not written: a trigger has ignored that, or removed it."""


class _ChangedSince(Exception):
    """A row is no longer as the run left it."""


def _rows(columns: Sequence[tuple[str, str]]) -> str:
    """SQL of rows from an array for each of these columns, given by their names and the arrays' types."""
    arrays = ", ".join(f"pg_catalog.unnest(%s::{array})" for _name, array in columns)
    return f"ROWS FROM ({arrays}) AS v ({', '.join(name for name, _array in columns)})"


def _cast(text: str, column: Column) -> str:
    """SQL of a text as a value of a column. What is too long for it is an error, and not cut off."""
    return f"{text}::text::{column.in_sql}"


def _where(columns: Mapping[str, Column], row: Recorded, like: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """SQL that finds the row by its key, if it has these values too."""
    at_place = [f"t.{q(name)} OPERATOR(pg_catalog.=) {_cast('%s', columns[name])}" for name in row.key]
    # As the column has it: 1.5 is 1.50 in a numeric(10, 2).
    alike = [
        f"t.{q(name)}::text IS NOT DISTINCT FROM (%s::text::{columns[name].declared_in_sql})::text"
        for name in (*row.key, *like)
    ]
    return " AND ".join([*at_place, *alike]), [*_texts(row.key), *_texts(row.key), *_texts(like)]


def _texts(values: Mapping[str, Any]) -> list[str | None]:
    return list(map(as_text, values.values()))
