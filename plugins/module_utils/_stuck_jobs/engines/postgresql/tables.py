# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables and columns that there are. Every name is looked up here before it is used in SQL.

Table names are exact. One without a schema is of the schema public.
"""

# ruff: noqa: S608 -- only queries of ours are put together; values are bound.
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...options import StuckJobsError, nearest
from .access import Access

PUBLIC = "public"
_TABLES = """SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relhasrules,
  c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid),
  has_schema_privilege(n.oid, 'USAGE'), pg_get_userbyid(c.relowner)::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
# The type of a domain is the one that it is made of. A type without its length cuts nothing off.
_COLUMNS = """SELECT a.attname::text, format_type(b.oid, -1), format_type(a.atttypid, a.atttypmod),
  b.category::text, b.size, CASE WHEN b.oid IN ('varchar'::regtype, 'bpchar'::regtype) THEN b.modifier - 4 END,
  a.attnotnull, a.attgenerated <> '',
  has_column_privilege(a.attrelid, a.attnum, 'SELECT'), has_column_privilege(a.attrelid, a.attnum, 'UPDATE'),
  ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = b.oid ORDER BY enumsortorder)
FROM pg_attribute a CROSS JOIN LATERAL (
  WITH RECURSIVE base (oid, kind, next, category, size, modifier) AS (
    SELECT oid, typtype, typbasetype, typcategory, typlen, a.atttypmod FROM pg_type WHERE oid = a.atttypid
    UNION ALL SELECT t.oid, t.typtype, t.typbasetype, t.typcategory, t.typlen, d.typtypmod
    FROM base JOIN pg_type d ON d.oid = base.oid JOIN pg_type t ON t.oid = base.next WHERE base.kind = 'd')
  SELECT * FROM base WHERE kind <> 'd') b
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_UNIQUE = """SELECT ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = x.indrelid
  AND a.attnum = ANY (x.indkey[0:x.indnkeyatts - 1]) ORDER BY a.attnum)
FROM pg_index x WHERE x.indrelid = %s AND x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL
ORDER BY x.indisprimary DESC, x.indexrelid"""
# A table with its partitions, or with what it is a partition of.
_WITH_PARTITIONS = """WITH RECURSIVE part (oid) AS (SELECT %s::oid
  UNION SELECT CASE part.oid WHEN i.inhparent THEN i.inhrelid ELSE i.inhparent END
  FROM part JOIN pg_inherits i ON part.oid IN (i.inhparent, i.inhrelid))"""
_REFERRERS = f"""{_WITH_PARTITIONS} SELECT k.conrelid,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (num, n)
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.n),
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (num, n)
    JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.n)
FROM pg_constraint k JOIN part ON part.oid = k.confrelid
WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY k.conname, k.oid"""


class Column(NamedTuple):
    """A column, and its type: the one that a domain is made of, without a length."""

    name: str
    type: str
    declared: str  # the type in the table's definition, with its length
    category: str  # as pg_type has it
    size: int  # in bytes; -1 if values differ
    longest: int | None  # characters
    is_not_null: bool
    is_generated: bool
    may_be_read: bool
    may_be_written: bool
    labels: Sequence[str]  # of an enum

    @property
    def is_integer(self) -> bool:
        return self.type in ("smallint", "integer", "bigint")

    @property
    def is_of_pg_catalog(self) -> bool:
        """Whether the type's operators are PostgreSQL's own, as those of any enum are. Only they are found by us."""
        return bool(self.labels) or "." not in self.type

    @property
    def is_unbounded(self) -> bool:
        """Whether a value may be large."""
        return self.size == -1 and self.type != "numeric" and not (self.longest and self.longest <= 1000)

    def read(self, of: str) -> str:
        """SQL of its value: a number if it is an integer, else its text."""
        return f"{of}.{q(self.name)}" if self.is_integer else f"{of}.{q(self.name)}::text"

    @property
    def array(self) -> str:
        """The type of an array of such values."""
        return "bigint[]" if self.is_integer else "text[]"

    @property
    def in_sql(self) -> str:
        return _in_sql(self.type)

    @property
    def declared_in_sql(self) -> str:
        return _in_sql(self.declared)

    def of_text(self, text: str) -> str:
        """SQL of a value of this type, from SQL of an element of such an array."""
        return text if self.is_integer else f"{text}::{self.in_sql}"


class Found(NamedTuple):
    """A table as the server describes it."""

    oid: int
    schema: str
    relation: str
    kind: str
    has_rules: bool
    is_inherited: bool
    is_reachable: bool  # whether the role has the right USAGE on its schema
    owner: str

    @property
    def name(self) -> str:
        """As options name it."""
        return self.relation if self.schema == PUBLIC else f"{self.schema}.{self.relation}"

    @property
    def quoted(self) -> str:
        return f"{q(self.schema)}.{q(self.relation)}"


class Tables:
    """All tables of the database."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._by_oid = {row[0]: Found(*row) for row in access.run(_TABLES)}
        self.by_name: dict[str, list[Found]] = {}
        for found in self._by_oid.values():
            for name in dict.fromkeys((found.name, f"{found.schema}.{found.relation}")):
                self.by_name.setdefault(name, []).append(found)
        self._columns: dict[int, dict[str, Column]] = {}

    def find(self, name: str) -> Found:
        """Raises StuckJobsError."""
        found = self.by_name.get(name, [])
        if not found:
            raise StuckJobsError(
                f"there is no table {name!r}. {nearest(name, {one.name for one in self._by_oid.values()})}"
            )
        if len(found) > 1:
            raise StuckJobsError(
                f"{name!r} is the name of several tables: {' and '.join(one.quoted for one in found)}."
            )
        return found[0]

    def columns(self, found: Found) -> dict[str, Column]:
        if found.oid not in self._columns:
            rows = self._access.run(_COLUMNS, [found.oid])
            self._columns[found.oid] = {row[0]: Column(*row) for row in rows}
        return self._columns[found.oid]

    def unique(self, found: Found) -> list[set[str]]:
        """The sets of columns that together identify a row."""
        return [set(names) for (names,) in self._access.run(_UNIQUE, [found.oid])]

    def referrers(self, found: Found) -> Iterator[tuple[Found, tuple[str, ...], tuple[str, ...]]]:
        """The foreign keys to a table: whose, its columns, and those that they refer to."""
        for oid, own, to in self._access.run(_REFERRERS, [found.oid]):
            if oid not in self._by_oid:
                raise StuckJobsError(
                    f"{self._access.database}: a table that refers to {found.name} has just been created. Run this"
                    " again."
                )
            yield self._by_oid[oid], tuple(own), tuple(to)


def comparable(own: Column, key: Column) -> str:
    """The type, in SQL, as which a foreign key is compared with a key; empty if they can't be."""
    if own.type == key.type or own.category == key.category == "N":
        return key.in_sql
    return own.in_sql if own.category == "S" else ""


def q(identifier: str) -> str:
    """An identifier, quoted for SQL that has values."""
    return '"' + identifier.replace('"', '""').replace("%", "%%") + '"'


def _in_sql(type_name: str) -> str:
    """A type's name as the server writes it, quoted where it has to be."""
    return type_name.replace("%", "%%")


def as_text(value: Any) -> str | None:
    """A value of an option, or of a row, as PostgreSQL reads it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return str(value).lower() if isinstance(value, bool) else str(value)
