# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the rows of an application's database for the plan: integers as integers, all else as text."""

# ruff: noqa: S608 -- every identifier in our SQL was looked up in the database first and is quoted; values are bound.
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...options import Database, Table
from .. import base
from ..base import Referrer, Refused, Row
from .access import Access
from .schema import Schema, read_schema, unnamed_referrers
from .tables import Column, Tables, as_text, comparable, q

# Rows that one query reads. Each query may have to look at all stuck rows that are left, to sort them by a random key.
PAGE = 50_000
DELETE_PAGE = 1000  # complete rows, which may be large
PAGE_BYTES = 16 * 1024**2  # of texts, after which a page ends early
BATCH = 1000  # the most rows that a batch has: more make other writers wait, fewer take longer


class Rows(base.Rows):
    """Reads by SQL."""

    schemas: Mapping[str, Schema]

    def __init__(self, access: Access, tables: Tables, database: Database) -> None:
        super().__init__(database, read_schema(access, tables, database))
        self._access, self._tables = access, tables
        self.referrers = unnamed_referrers(tables, database) if database.action.removes else []
        columns = self.schemas[database.table].column
        conditions = [_is_any_of(columns[name], values) for name, values in database.conditions.items()]
        self._also = "".join(f" AND {sql}" for sql, _values in conditions)
        self._values = [parameter for _sql, parameters in conditions for parameter in parameters]
        self.page_size = BATCH
        self.met_not_text = False  # the server checks what it stores

    def stuck(self) -> Iterator[list[Row]]:
        """Pages of rows with a stuck status, by key, so that no query takes long."""
        database, schema = self.database, self.schemas[self.database.table]
        size = DELETE_PAGE if database.action.removes else PAGE
        values: list[Any] = [_texts(database.stuck_statuses), *self._values]
        page, is_last = self._page(schema, "", values, size)
        after = f"AND ({_columns(schema.locator)}) > ({', '.join(_parameter(c) for c in schema.of(*schema.locator))})"
        while page:
            yield page
            if is_last:
                return
            page, is_last = self._page(schema, after, [*values, *page[-1][: len(schema.locator)]], size)

    def _page(self, schema: Schema, after: str, values: Sequence[Any], size: int) -> tuple[list[Row], bool]:
        """A page, and whether no row follows. The values of rows beyond its size are not read."""
        status = schema.column[self.database.status_column]
        read = self._read(self.database)
        names = dict.fromkeys(column.name for column in read)
        large = [column for column in schema.of(*names) if column.is_unbounded and column is not status]
        key = _columns(schema.locator, "page")
        # The innermost query has the columns as they are stored, the outermost casts them to text.
        rows = f"""SELECT {_columns(names)}, {" + ".join(map(_size, large)) or "0"} AS "size of it" FROM {schema.name} t
            WHERE {_is_one_of(status)}{self._also} {after}
            ORDER BY {_columns(schema.locator)} LIMIT {size}"""
        sized = f"""SELECT page.*, count(*) OVER () AS "all of it", sum("size of it") OVER
            (ORDER BY {key} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS "above it" FROM ({rows}) page"""
        selected = ", ".join(column.read("page") for column in read)
        if not large:
            found = self._access.run(f"SELECT {selected} FROM ({rows}) page ORDER BY {key}", values)
            return found, len(found) < size
        found = self._access.run(
            f"""SELECT {selected}, "all of it" FROM ({sized}) page
            WHERE coalesce("above it", 0) < {PAGE_BYTES} ORDER BY {key}""",
            values,
        )
        return [row[:-1] for row in found], not found or (found[0][-1] == len(found) < size)

    def find(self, job: str) -> tuple[Row, bool] | None:
        """The row of an id or of an unambiguous prefix of one. A number is no prefix of another number."""
        database, schema = self.database, self.schemas[self.database.table]
        keys = schema.of(*database.id_column)
        text = " || '/' || ".join(f"t.{q(key.name)}::text" for key in keys)
        ways = [(f"{text} = %s", [job])]
        if len(keys) == 1:
            # By its index. A UUID may be written without hyphens, but 07 is not 7.
            exactly = "" if keys[0].type == "uuid" else f" AND {text} = %s"
            by_index = f"t.{q(keys[0].name)} = %s::text::{keys[0].in_sql}{exactly}"
            ways.insert(0, (by_index, [job, *([job] if exactly else [])]))
        if not any(key.is_integer or key.category == "N" for key in keys):
            ways.append((f"starts_with({text}, %s)", [job.lower() if keys[0].type == "uuid" else job]))
        for where, values in ways:
            rows = self._found(schema, where, values)
            self._check_is_one(job, rows)
            if rows:
                return rows[0][:-1], bool(rows[0][-1])
        return None

    def _found(self, schema: Schema, where: str, values: Sequence[Any]) -> list[Row]:
        status = schema.column[self.database.status_column]
        selected = ", ".join(column.read("t") for column in self._read(self.database))
        key = _columns(schema.locator)
        is_stuck = f"{_is_one_of(status)}{self._also}"
        sql = f"SELECT {selected}, {is_stuck} FROM {schema.name} t WHERE {where} ORDER BY {key} LIMIT 6"
        try:
            return self._access.run(sql, [_texts(self.database.stuck_statuses), *self._values, *values])
        except Refused:  # it can be no id: not a number, for example
            return []

    def children_of(self, child: Table, keys: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Row]]:
        """The rows that belong to these parents, each with its parent's number."""
        if not keys:
            return
        schema = self.schemas[child.table]
        (parent,) = [table for table in self.database.family() if child in table.children]
        pairs = list(zip(schema.of(*child.foreign_key), self.schemas[parent.table].of(*parent.id_column)))
        names = [f"k{number}" for number in range(len(pairs))]
        arrays = ", ".join(f"%s::text[]::{comparable(*pair)}[]" for pair in pairs)
        matches = " AND ".join(f"t.{q(own.name)} = parent.{name}" for (own, _key), name in zip(pairs, names))
        values: list[Any] = [_texts(column) for column in zip(*keys)]
        where = ""
        if not self.database.action.removes and child.status_column:
            status = schema.column[child.status_column]
            where = f"WHERE {_is_one_of(status)}"
            values.append(_texts(child.stuck_statuses))
        selected = ", ".join(column.read("t") for column in self._read(child))
        for row in self._access.run(
            f"""SELECT parent.n::int - 1, {selected}
            FROM unnest({arrays}) WITH ORDINALITY AS parent ({", ".join(names)}, n) JOIN {schema.name} t ON {matches}
            {where} ORDER BY parent.n, {_columns(schema.locator)}""",
            values,
        ):
            yield row[0], row[1:]

    def referring(
        self, referrer: Referrer, places: Sequence[tuple[int, tuple[Any, ...]]]
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The places of the rows that refer to these, with their numbers; () for a table outside the family."""
        if not places:
            return
        parent, own = self.schemas[referrer.parent], self.schemas.get(referrer.table)
        keys = parent.of(*parent.locator)
        names = [f"k{number}" for number in range(len(keys))]
        arrays = ", ".join(f"%s::text[]::{_array_of(key)}" for key in keys)
        is_there = " AND ".join(f"referred.{q(key.name)} = place.{name}" for key, name in zip(keys, names))
        refers = " AND ".join(
            f"referred.{q(to)} = referring.{q(column)}" for column, to in zip(referrer.columns, referrer.to)
        )
        selected = ", ".join(["place.n", *(c.read("referring") for c in (own.of(*own.locator) if own else ()))])
        for row in self._access.run(
            f"""SELECT DISTINCT {selected} FROM unnest({arrays}, %s::bigint[]) AS place ({", ".join(names)}, n)
            JOIN {parent.name} referred ON {is_there}
            JOIN {self._tables.find(referrer.table).quoted} referring ON {refers}""",
            [*(_texts(column) for column in zip(*(place for _n, place in places))), [n for n, _place in places]],
        ):
            yield row[0], row[1:]

    def _read(self, table: Table) -> list[Column]:
        """The columns of a row: its locator, then those to read."""
        schema = self.schemas[table.table]
        return schema.of(*schema.locator, *self.columns[table.table])


def _columns(names: Sequence[str] | Mapping[str, Any], of: str = "t") -> str:
    return ", ".join(f"{of}.{q(name)}" for name in names)


def _texts(values: Sequence[Any]) -> list[str | None]:
    return list(map(as_text, values))


def _array_of(column: Column) -> str:
    return f"{column.in_sql}[]"


def _is_one_of(status: Column) -> str:
    """SQL of whether a status is one of the texts that are given, exactly, whatever its type thinks is equal."""
    if status.is_of_pg_catalog:  # by its index
        return f"t.{q(status.name)} = ANY (%s::text[]::{_array_of(status)})"
    return f"t.{q(status.name)}::text = ANY (%s::text[])"


def _is_any_of(column: Column, values: Sequence[Any]) -> tuple[str, list[Any]]:
    """SQL of whether a column has one of these values, of which None is NULL, and its parameters."""
    some = _texts([value for value in values if value is not None])
    ways = [_is_one_of(column)] if some else []
    ways += [f"t.{q(column.name)} IS NULL"] if None in values else []
    return f"({' OR '.join(ways)})", [some] if some else []


def _parameter(column: Column) -> str:
    return column.of_text("%s::bigint" if column.is_integer else "%s::text")


def _size(column: Column) -> str:
    """SQL of about the size of a value's text, which is not read for that if it is one."""
    name = f"t.{q(column.name)}"
    return f"coalesce(octet_length({name if column.category == 'S' else f'{name}::text'}), 0)"
