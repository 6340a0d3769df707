# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes rows that are still as they were read, many by one statement, without waiting for any; and restores them."""

# ruff: noqa: S608 -- every identifier in our SQL was looked up in the database first and is quoted; values are bound.
from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Callable

from ...change import Change, Recorded, Shape
from .. import base
from ..base import Refused
from .access import Access
from .rows import Rows
from .schema import Column, Tables, as_text, q

HOLD = 0.03  # seconds; PostgreSQL locks only the rows that are written


class Session(base.Session):
    """An open database of PostgreSQL.

    A row that another process holds counts as changed since: we skip it, so we wait for nobody. Others wait for us at
    most as long as one transaction takes, and only if they want to change one of its rows.
    """

    hold = HOLD

    def __init__(self, access: Access) -> None:
        self._access, self._database = access, access.database
        self._tables = Tables(access)
        self._statements: dict[Shape, Statements] = {}

    def now(self) -> float:
        ((now,),) = self._access.run("SELECT extract(epoch FROM clock_timestamp())::float8")
        return now

    def rows(self) -> Rows:
        return Rows(self._access, self._tables, self._database)

    # Transactions

    def begin(self) -> None:
        self._access.begin()

    def commit(self) -> None:
        self._access.commit()

    def roll_back(self) -> bool:
        return self._access.roll_back()

    def give_way(self) -> None:
        """Nobody waits for a database as a whole."""

    # Changes

    def write(
        self, changes: Sequence[Change], unharmed: Callable[[Sequence[Change]], list[Change]]
    ) -> tuple[list[Change], dict[tuple[Any, ...], str]]:
        done, refused = self._write_some(changes, unharmed)
        places = {change.place for change in done} | refused.keys()
        left = [change for change in changes if change.place not in places]
        # Of these, almost all are no longer as they were read, or held by another process.
        for change in unharmed(self._held(left)) if left else ():
            try:
                with self._access.savepoint():
                    self._write_one(change)
                done.append(change)
            except Refused as error:
                refused[change.place] = str(error)
        return done, refused

    def _write_some(
        self, changes: Sequence[Change], unharmed: Callable[[Sequence[Change]], list[Change]]
    ) -> tuple[list[Change], dict[tuple[Any, ...], str]]:
        """Writes whole families. If one is refused, each half is tried, so that the others need few statements."""
        try:
            with self._access.savepoint():
                return self._write_all(changes, unharmed), {}
        except _Partly:
            return [], {}
        except Refused as error:
            if len(changes) == 1:
                return [], {changes[0].place: str(error)}
        half = len(changes) // 2
        done, refused = self._write_some(changes[:half], unharmed)
        more, also = self._write_some(changes[half:], unharmed)
        return [*done, *more], {**refused, **also}

    def _write_all(
        self, changes: Sequence[Change], unharmed: Callable[[Sequence[Change]], list[Change]]
    ) -> list[Change]:
        """Raises _Partly if of a family only a part was written."""
        if all(len(change.family()) == 1 for change in changes) and not any(c.shape.action.removes for c in changes):
            written = self._run("write", changes)
            return [change for change in changes if _is_whole(change, written)]
        # Locked first: then no other process can change a row of the family, or add one that a foreign key ties to it.
        kept = unharmed(self._held(changes))
        written = self._run("write_held", kept)
        if not all(_is_whole(change, written) for change in kept):
            raise _Partly
        return kept

    def _write_one(self, change: Change) -> None:
        """Writes a family that is held."""
        written = self._run("write_held", [change])
        for row in change.flat():
            if (row.shape.table.table, row.place) not in written and self._held([row._replace(children=())]):
                raise Refused("a trigger ignored the change")

    def _held(self, changes: Sequence[Change]) -> list[Change]:
        """Those all of whose rows are as they were read, locked until the transaction ends."""
        held = self._run("hold", changes, parents_first=True)
        return [change for change in changes if _is_whole(change, held)]

    def _run(self, name: str, changes: Sequence[Change], parents_first: bool = False) -> set[tuple[str, Any]]:
        """Runs a statement for each shape. Returns the tables and places of the rows that it was done to."""
        groups: dict[Shape, list[Change]] = {}
        for change in changes:
            for row in change.flat():
                groups.setdefault(row.shape, []).append(row)
        order = [table.table for table in self._database.family()]
        done: set[tuple[str, Any]] = set()
        # Children are written before their parents, because of foreign keys.
        for shape in sorted(groups, key=lambda shape: order.index(shape.table.table), reverse=not parents_first):
            if shape not in self._statements:
                self._statements[shape] = Statements(shape)
            sql, values = getattr(self._statements[shape], name)(groups[shape])
            done.update((shape.table.table, place) for place in self._access.run(sql, values))
        return done

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
        if row.action.removes:
            if self.is_there(row, {}):
                return False
            names = ", ".join(map(q, row.before))
            marks = ", ".join(_cast('%s', columns[name]) for name in row.before)
            sql = f"INSERT INTO {found.quoted} AS t ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks}) RETURNING 1"
            return bool(self._access.run(sql, _texts(row.before)))
        settings = ", ".join(f"{q(name)} = {_cast('%s', columns[name])}" for name in row.before)
        where, values = _where(columns, row, row.after)
        sql = f"UPDATE {found.quoted} t SET {settings} WHERE {where} RETURNING 1"
        return bool(self._access.run(sql, [*_texts(row.before), *values]))

    def is_there(self, row: Recorded, like: Mapping[str, Any]) -> bool:
        found = self._tables.find(row.table)
        where, values = _where(self._tables.columns(found), row, like)
        return bool(self._access.run(f"SELECT FROM {found.quoted} t WHERE {where} LIMIT 1", values))


class Statements:
    """The SQL of all changes of one shape, each with the values of some of them. All return the places of their rows."""

    def __init__(self, shape: Shape) -> None:
        schema, removes = shape.schema, shape.action.removes
        self._shape = shape
        # The positions of the new values that differ from row to row.
        self._own = sorted({shape.message_at, shape.attempts_at} - {None})
        keys, read = schema.of(*schema.locator), schema.of(*shape.read)
        as_keys = [(f"k{number}", key.array) for number, key in enumerate(keys)]
        as_read = [(f"r{number}", column.array) for number, column in enumerate(read)]
        as_own = [(f"s{number}", "text[]") for number in self._own]

        place = ", ".join(key.read("t") for key in keys)
        at_place = " AND ".join(f"t.{q(key.name)} = v.{key.of_text(name)}" for key, (name, _array) in zip(keys, as_keys))
        unchanged = [f"{column.read('t')} IS NOT DISTINCT FROM v.{name}" for column, (name, _) in zip(read, as_read)]
        # What changes no unique column needs only the weaker lock, so nobody is in the way who just adds a child.
        strength = "UPDATE" if removes or schema.in_unique & set(shape.set) else "NO KEY UPDATE"
        there = f"JOIN {schema.name} t ON {at_place} WHERE {' AND '.join(unchanged)} FOR {strength} OF t SKIP LOCKED"
        names = ", ".join(f"v.{name}" for name, _array in [*as_keys, *as_own])
        if removes:
            write = f"DELETE FROM {schema.name} t USING v WHERE {at_place} RETURNING {place}"
        else:
            settings = ", ".join(
                f"{q(name)} = {_cast(f'v.s{number}' if number in self._own else '%s', schema.column[name])}"
                for number, name in enumerate(shape.set)
            )
            write = f"UPDATE {schema.name} t SET {settings} FROM v WHERE {at_place} RETURNING {place}"

        self._hold = f"SELECT {place} FROM {_rows([*as_keys, *as_read])} {there}"
        held = f"SELECT {names} FROM {_rows([*as_keys, *as_read, *as_own])} {there}"
        self._write = f"WITH v AS MATERIALIZED ({held}) {write}"
        self._write_held = f"WITH v AS MATERIALIZED (SELECT * FROM {_rows([*as_keys, *as_own])}) {write}"

    def hold(self, rows: Sequence[Change]) -> tuple[str, list[Any]]:
        """Locks those that are as they were read and that no other process holds."""
        return self._hold, self._columns(row.row for row in rows)

    def write(self, rows: Sequence[Change]) -> tuple[str, list[Any]]:
        """Locks and writes those that are as they were read and that no other process holds."""
        return self._write, [*self._columns((*row.row, *self._different(row)) for row in rows), *self._alike(rows)]

    def write_held(self, rows: Sequence[Change]) -> tuple[str, list[Any]]:
        """Writes rows that are locked, whatever a trigger of ours has changed in them since."""
        return self._write_held, [*self._columns((*row.place, *self._different(row)) for row in rows), *self._alike(rows)]

    @staticmethod
    def _columns(rows: Iterable[tuple[Any, ...]]) -> list[Any]:
        return list(map(list, zip(*rows)))

    def _different(self, row: Change) -> list[str | None]:
        return [as_text(row.after[number]) for number in self._own]

    def _alike(self, rows: Sequence[Change]) -> list[str | None]:
        """The new values that all rows have."""
        return [as_text(value) for number, value in enumerate(rows[0].after) if number not in self._own]


class _Partly(Exception):
    """A part of a family was not written, possibly because of a trigger."""


class _ChangedSince(Exception):
    """A row is no longer as the run left it."""


def _is_whole(change: Change, done: Container[tuple[str, Any]]) -> bool:
    return all((row.shape.table.table, row.place) in done for row in change.flat())


def _rows(columns: Sequence[tuple[str, str]]) -> str:
    """SQL of rows from an array for each of these columns, given by their names and the arrays' types."""
    arrays = ", ".join(f"%s::{array}" for _name, array in columns)
    return f"unnest({arrays}) AS v ({', '.join(name for name, _array in columns)})"


def _cast(text: str, column: Column) -> str:
    """SQL of a text as a value of a column. What is too long for it is an error, and not cut off."""
    return f"{text}::text::{column.in_sql}"


def _where(columns: Mapping[str, Column], row: Recorded, like: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """SQL that finds the row by its key, if it has these values too."""
    at_place = [f"t.{q(name)} = {_cast('%s', columns[name])}" for name in row.key]
    # As the column has it: 1.5 is 1.50 in a numeric(10, 2).
    alike = [
        f"t.{q(name)}::text IS NOT DISTINCT FROM (%s::text::{columns[name].declared_in_sql})::text"
        for name in (*row.key, *like)
    ]
    return " AND ".join([*at_place, *alike]), [*_texts(row.key), *_texts(row.key), *_texts(like)]


def _texts(values: Mapping[str, Any]) -> list[str | None]:
    return list(map(as_text, values.values()))
