# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real schema of the database: every name in the options is looked up here before it is used in SQL.

Table names are exact. One without a schema is of the schema public.
"""

# ruff: noqa: S608 -- every identifier in our SQL was looked up in the database first and is quoted; values are bound.
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ... import change
from ...actions import ACTIONS, Action
from ...options import NOW, Database, StuckJobsError, Table, nearest
from ..base import Referrer, Refused
from .access import Access

PUBLIC = "public"
_TABLES = """SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relhasrules,
  c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid),
  has_schema_privilege(n.oid, 'USAGE'), pg_get_userbyid(c.relowner)::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
# The type of a domain is the one that it is made of. A type without its length cuts nothing off.
_COLUMNS = """SELECT a.attname::text, format_type(b.oid, -1), format_type(a.atttypid, a.atttypmod), b.category::text, b.size,
  CASE WHEN b.oid IN ('varchar'::regtype, 'bpchar'::regtype) THEN b.modifier - 4 END, a.attnotnull, a.attgenerated <> '',
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
_OWNERS = f"""{_WITH_PARTITIONS} SELECT DISTINCT c.relowner, pg_get_userbyid(c.relowner)::text
FROM part JOIN pg_class c ON c.oid = part.oid"""
_REFERRERS = f"""{_WITH_PARTITIONS} SELECT k.conrelid,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (num, n)
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.n),
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (num, n)
    JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.n)
FROM pg_constraint k JOIN part ON part.oid = k.confrelid
WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY k.conname, k.oid"""
# What a role can do, or become, that has nothing to do with tables. A superuser can all of it.
_POWERS = """SELECT DISTINCT power FROM pg_roles r CROSS JOIN LATERAL unnest(ARRAY[
  CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
  CASE WHEN r.rolreplication THEN 'REPLICATION' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
  CASE WHEN r.rolname ~ '^pg_' AND r.rolname <> 'pg_database_owner' THEN r.rolname::text END]) AS power
WHERE power IS NOT NULL AND pg_has_role({role}, r.oid, 'MEMBER')"""
_NO_EXAMPLE = object()
_TELL_NO_TIME = ("date", "time without time zone", "time with time zone", "interval", "boolean", "uuid", "bytea")


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


@dataclass(frozen=True)
class Schema(change.Schema):
    """What is needed to write SQL for a table. The locator is the columns of the id."""

    name: str  # with its schema, quoted
    column: Mapping[str, Column]
    in_unique: frozenset[str]  # the columns of unique indexes

    def of(self, *names: str) -> list[Column]:
        return [self.column[name] for name in names]


class _Found(NamedTuple):
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
        self._by_oid = {row[0]: _Found(*row) for row in access.run(_TABLES)}
        self.by_name: dict[str, list[_Found]] = {}
        for found in self._by_oid.values():
            for name in {found.name, f"{found.schema}.{found.relation}"}:
                self.by_name.setdefault(name, []).append(found)
        self._columns: dict[int, dict[str, Column]] = {}

    def find(self, name: str) -> _Found:
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

    def columns(self, found: _Found) -> dict[str, Column]:
        if found.oid not in self._columns:
            rows = self._access.run(_COLUMNS, [found.oid])
            self._columns[found.oid] = {row[0]: Column(*row) for row in rows}
        return self._columns[found.oid]

    def unique(self, found: _Found) -> list[set[str]]:
        """The sets of columns that together identify a row."""
        return [set(names) for (names,) in self._access.run(_UNIQUE, [found.oid])]

    def referrers(self, found: _Found) -> Iterator[tuple[_Found, tuple[str, ...], tuple[str, ...]]]:
        """The foreign keys to a table: whose, its columns, and those that they refer to."""
        for oid, own, to in self._access.run(_REFERRERS, [found.oid]):
            yield self._by_oid[oid], tuple(own), tuple(to)


def read_schema(access: Access, tables: Tables, database: Database) -> dict[str, Schema]:
    """The schema of each table of the family, by its name. Raises StuckJobsError with all errors."""
    found: dict[str, _Found] = {}
    wrong = _wrong_family(access, tables, database, found)
    if wrong:
        raise StuckJobsError(f"{database}: {' '.join(dict.fromkeys(wrong))} Nothing was changed.")
    return {table.table: _schema(tables, found[table.table], table) for table in database.family()}


def _wrong_family(access: Access, tables: Tables, database: Database, found: dict[str, _Found]) -> list[str]:
    """What is wrong, and the tables that were found. What depends on names is looked at when they are right."""
    wrong = []
    for table in database.family():
        try:
            here = found[table.table] = tables.find(table.table)
        except StuckJobsError as error:
            wrong.append(str(error))
        else:
            wrong += list(_wrong_table(access, here)) or _wrong_columns(tables, here, table, database)
    if wrong:
        return wrong
    for table in database.family():
        here = found[table.table]
        wrong += _missing_rights(access, tables, here, table, database)
        wrong += _wrong_values(access, tables.columns(here), table, database)
    return [*wrong, *_wrong_keys(tables, found, database), *_wrong_role(access, found.values())]


def _schema(tables: Tables, found: _Found, table: Table) -> Schema:
    columns = tables.columns(found)
    stored = tuple(column.name for column in columns.values() if not column.is_generated)
    in_unique = frozenset().union(*tables.unique(found))
    return Schema(table, stored, tuple(table.id_column), found.quoted, columns, in_unique)


# What is wrong, each a sentence


def _wrong_table(access: Access, found: _Found) -> Iterator[str]:
    if found.kind not in "rp":
        kind = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}[found.kind]
        yield f"{found.name} is {kind}. Set the table behind it."
    if found.has_rules and found.kind in "rp":
        yield f"{found.name} has rules, which replace what is written. Use triggers instead."
    if found.is_inherited:
        yield f"{found.name} has tables that inherit from it. Set the one with the jobs."
    if not found.is_reachable:
        yield f"the role has no right to the schema {found.schema}. GRANT USAGE on it."
    elif access.run("SELECT row_security_active(%s::oid)", [found.oid]) == [(True,)]:
        yield f"{found.name} has row-level security that hides rows from this role. Log in as its owner, {found.owner}."


def _wrong_columns(tables: Tables, found: _Found, table: Table, database: Database) -> Iterator[str]:
    columns, unique = tables.columns(found), tables.unique(found)
    written = {name for _option, name, _value in _written(table, database)}
    for option, name, is_written in table.columns:
        column = columns.get(name)
        if not column:
            yield f"{option}: table {table.table} has no column {name!r}. {nearest(name, columns)}"
        elif column.is_generated and is_written:
            yield f"{option}: {table.table}.{name} is a generated column. Set one that can be written."
        elif option == "id_column" and name in written:
            yield f"id_column: {table.table}.{name} would be changed itself. Set columns that stay as they are."
        elif option in ("time_column", "fallback_time_column") and column.type in _TELL_NO_TIME:
            yield f"{option}: {table.table}.{name} is of type {column.declared}, which is no point in time. Set another."
    if all(name in columns for name in table.id_column) and set(table.id_column) not in unique:
        there_are = "; ".join(" and ".join(sorted(names)) for names in unique) or "none"
        yield f"id_column: {table.table}.{', '.join(table.id_column)} is not unique. Set one of: {there_are}."


def _written(table: Table, database: Database) -> Iterator[tuple[str, str, Any]]:
    """What a run may write to a table: the options, the columns and the values, of which some are examples."""
    for action in _actions(database):
        if action.removes or not table.status_column:
            continue
        status, others = table.outcomes[action.name]
        yield action.to_option, table.status_column, status
        yield from ((f"{action.set_option}: {column}", column, value) for column, value in others.items())
        examples = {"error_column": "[]" if table.error_mode == "json" else table.error_message, "attempts_column": 1}
        for option, column in table.filled_by(action).items():
            yield option, column, examples.get(option, _NO_EXAMPLE)


def _actions(database: Database) -> list[Action]:
    """The action, and what it ends in."""
    last = database.action.in_the_end if database.max_attempts else ""
    return [database.action, *([ACTIONS[last]] if last else [])]


def _wrong_values(access: Access, columns: Mapping[str, Column], table: Table, database: Database) -> Iterator[str]:
    """Values that no row can have, found before any is written. Only constraints of the table are left to the server."""
    for status in table.stuck_statuses if table.status_column else ():
        yield from _misfit(access, "stuck_statuses", columns[table.status_column], status, is_stored=False)
    for option, name, value in _written(table, database):
        if value == NOW and table is database and columns[name].type != columns[database.time_column].type:
            like = f"{database.time_column}, {columns[database.time_column].declared}"
            yield f"{option}: {NOW} is written like {like}, but {name} is {columns[name].declared}. Set a time there."
        elif value not in (NOW, _NO_EXAMPLE):
            yield from _misfit(access, option, columns[name], value, is_stored=True)


def _misfit(access: Access, option: str, column: Column, value: Any, is_stored: bool) -> Iterator[str]:
    text = as_text(value)
    if text is None and column.is_not_null:
        yield f"{option}: {column.name} is NOT NULL. Set a value."
    elif text is not None and column.labels and text not in column.labels:
        yield f"{option}: {column.type} has no label {text!r}. {nearest(text, column.labels)}"
    elif text is not None and is_stored and column.longest and len(text) > column.longest:
        yield f"{option}: {text!r} is too long for {column.name}, {column.declared}. Set a shorter one."
    else:
        access.begin(write=False)
        access.use_settings(ours=False)  # a domain may have a function
        try:
            access.run(f"SELECT %s::text::{column.declared_in_sql if is_stored else column.in_sql} IS NULL", [text])
        except Refused as error:
            yield f"{option}: {text!r} does not fit {column.name}, {column.declared}: {error}. Set another value."
        finally:
            access.roll_back()


def _wrong_keys(tables: Tables, found: Mapping[str, _Found], parent: Table) -> Iterator[str]:
    for child in parent.children:
        columns, keys = tables.columns(found[child.table]), tables.columns(found[parent.table])
        for own, key in zip(child.foreign_key, parent.id_column):
            if not comparable(columns[own], keys[key]):
                types = f"{columns[own].declared}, but {parent.table}.{key} is {keys[key].declared}"
                yield f"foreign_key: {child.table}.{own} is {types}. Set the column that refers to it."
        yield from _wrong_keys(tables, found, child)


def comparable(own: Column, key: Column) -> str:
    """The type, in SQL, as which a foreign key is compared with a key; empty if they can't be."""
    if own.type == key.type or own.category == key.category == "N":
        return key.in_sql
    return own.in_sql if own.category == "S" else ""


def _missing_rights(access: Access, tables: Tables, found: _Found, table: Table, database: Database) -> Iterator[str]:
    columns = tables.columns(found)
    written = {name for _option, name, _value in _written(table, database)}
    removes = database.action.removes
    read = columns if removes else dict.fromkeys(name for _option, name, _is_written in table.columns)
    missing = [f"SELECT ({name})" for name in read if not columns[name].may_be_read]
    missing += [f"UPDATE ({name})" for name in sorted(written) if not columns[name].may_be_written]
    if removes:
        if not any(column.may_be_written for column in columns.values()):
            missing.append("UPDATE")  # to lock the row
        if access.run("SELECT has_table_privilege(%s::oid, 'DELETE')", [found.oid]) == [(False,)]:
            missing.append("DELETE")
        for referrer, _own, _to in tables.referrers(found):
            if access.run("SELECT has_table_privilege(%s::oid, 'SELECT')", [referrer.oid]) == [(False,)]:
                yield f"the role has no right SELECT on {referrer.name}, which refers to {found.name}. GRANT it."
    if missing:
        yield (
            f"the role has no right {', '.join(missing)} on {found.name}. GRANT it, or log in as its owner,"
            f" {found.owner}."
        )


def _wrong_role(access: Access, found: Iterable[_Found]) -> Iterator[str]:
    """The triggers of a table run with the rights of who writes to it, and whoever owns the table can add some.

    RESET ROLE in one undoes a SET ROLE of ours.
    """
    mine = {power for (power,) in access.run(_POWERS.format(role="session_user"))}
    for table in found:
        for oid, owner in access.run(_OWNERS, [table.oid]):
            theirs = {power for (power,) in access.run(_POWERS.format(role="%s::oid"), [oid])} if mine else set()
            more = ["SUPERUSER"] if "SUPERUSER" in mine - theirs else sorted(mine - theirs)
            if more:
                yield (
                    f"{table.name} belongs to {owner}, whose triggers would run with the rights of this role,"
                    f" which is {', '.join(more)}. Log in as {owner}."
                )


# What a removal has to respect


def unnamed_referrers(tables: Tables, database: Database) -> list[Referrer]:
    """Foreign keys to the family, except those of its children: a delete would orphan such rows, or delete them too."""
    family = {tables.find(table.table).oid: table.table for table in database.family()}
    named = {
        (child.table, parent.table, frozenset(zip(child.foreign_key, parent.id_column)))
        for parent in database.family()
        for child in parent.children
    }
    return [
        Referrer(name, own, table.table, to)
        for table in database.family()
        for referrer, own, to in tables.referrers(tables.find(table.table))
        for name in [family.get(referrer.oid, referrer.name)]
        if (name, table.table, frozenset(zip(own, to))) not in named
    ]


# Writing SQL


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
