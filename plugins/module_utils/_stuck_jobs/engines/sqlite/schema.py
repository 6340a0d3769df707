# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real schema of the database: every name in the options is looked up here before it is used in SQL."""

# ruff: noqa: S608 -- every identifier in our SQL was looked up in the database first and is quoted; values are bound.
from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ... import change
from ...options import Database, StuckJobsError, Table, nearest
from ..base import Referrer

_ROWID = ("rowid", "oid", "_rowid_")  # SQLite's names for it; a column of that name hides one


@dataclass(frozen=True)
class Schema(change.Schema):
    """What is needed to write SQL for a table. The locator is the rowid, or the primary key's columns, as SQL."""

    status_index: str  # an index that begins with the status; empty if there is none
    index_is_of_status_alone: bool  # so that its rows are in the order of the locator
    is_indexed_by_parent: bool
    or_abort: str  # OR ABORT if it is needed, or empty


def read_schema(connection: sqlite3.Connection, database: Database) -> dict[str, Schema]:
    """The schema of each table of the family, by its name. Raises StuckJobsError with all errors."""
    real = dict(connection.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"))
    wrong = []
    for table in database.family():
        if table.table not in real:
            wrong.append(f"there is no table {table.table!r}. {nearest(table.table, real)}")
        elif real[table.table] == "view":
            wrong.append(f"{table.table} is a view. Set the table behind it.")
        else:
            wrong += _wrong_columns(connection, table)
    if wrong:
        raise StuckJobsError(f"{database}: {' '.join(wrong)} Nothing was changed.")
    return {table.table: _schema(connection, table) for table in database.family()}


def _wrong_columns(connection: sqlite3.Connection, table: Table) -> Iterator[str]:
    found = connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table.table,))
    # hidden: 2 and 3 are generated columns.
    generated = {name: hidden in (2, 3) for name, hidden in found}
    for option, column, is_written in table.columns:
        if column not in generated:
            yield f"{option}: table {table.table} has no column {column!r}. {nearest(column, generated)}"
        elif generated[column] and is_written:
            yield f"{option}: {table.table}.{column} is a generated column. Set one that can be written."
    unique = _unique_columns(connection, table.table)
    if all(column in generated for column in table.id_column) and set(table.id_column) not in unique:
        there_are = "; ".join(" and ".join(sorted(columns)) for columns in unique) or "none"
        yield f"id_column: {table.table}.{', '.join(table.id_column)} is not unique. Set one of: {there_are}."


def _unique_columns(connection: sqlite3.Connection, table: str) -> list[set[str]]:
    """The sets of columns that together identify a row: the primary key's, and those of unique indexes."""
    indexed = connection.execute(
        "SELECT l.name, i.name FROM pragma_index_list(?) AS l, pragma_index_info(l.name) AS i"
        ' WHERE l."unique" AND NOT l.partial',
        (table,),
    )
    unique = {"": set(_primary_key(connection, table))}
    for index, column in indexed:
        unique.setdefault(index, set()).add(column)
    found = [columns for columns in unique.values() if columns and None not in columns]
    return [columns for number, columns in enumerate(found) if columns not in found[:number]]


def _primary_key(connection: sqlite3.Connection, table: str) -> list[str]:
    return [
        name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (table,))
    ]


def _schema(connection: sqlite3.Connection, table: Table) -> Schema:
    # table_info leaves out the generated columns, which can't be written.
    columns = tuple(name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table.table,)))
    free = [name for name in _ROWID if name not in {column.lower() for column in columns}]
    try:
        connection.execute(f"SELECT {free[0]} FROM {q(table.table)} LIMIT 0")
        locator = (free[0],)
    except (IndexError, sqlite3.OperationalError):  # all hidden, or WITHOUT ROWID
        locator = tuple(map(q, _primary_key(connection, table.table)))
    by_status, alone = _index_on(connection, table.table, table.status_column)
    by_parent, _alone = _index_on(connection, table.table, *table.foreign_key[:1])
    return Schema(table, columns, locator, by_status, alone, bool(by_parent), or_abort(connection, table.table))


def or_abort(connection: sqlite3.Connection, table: str) -> str:
    """SQL that overrides ON CONFLICT REPLACE, which would delete other rows, and ROLLBACK in the table's constraints.

    Empty for other tables, as it would also apply to what the application's triggers do.
    """
    ((sql,),) = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
    return "OR ABORT" if re.search(r"\bON\s+CONFLICT\b", sql, re.IGNORECASE) else ""


def _index_on(connection: sqlite3.Connection, table: str, column: str = "") -> tuple[str, bool]:
    """The shortest index that begins with a column, and whether it has no other columns."""
    found = connection.execute(
        "SELECT l.name, (SELECT count(*) FROM pragma_index_info(l.name)) AS size"
        " FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS i"
        " WHERE i.seqno = 0 AND i.name = ? AND i.coll = 'BINARY' AND NOT l.partial"
        " ORDER BY size, l.name",
        (table, column),
    ).fetchone()
    return (found[0], found[1] == 1) if found else ("", False)


def unnamed_referrers(connection: sqlite3.Connection, database: Database) -> list[Referrer]:
    """Foreign keys to the family, except those of its children: a delete would orphan such rows, or delete them too."""
    found = [referrer for table in database.family() for referrer in _referrers(connection, table.table)]
    named = {
        (child.table, parent.table, frozenset(zip(child.foreign_key, parent.id_column)))
        for parent in database.family()
        for child in parent.children
    }
    return [
        referrer
        for referrer in found
        if (referrer.table, referrer.parent, frozenset(zip(referrer.columns, referrer.to))) not in named
        or not _compares_alike(connection, referrer)
    ]


def _referrers(connection: sqlite3.Connection, parent: str) -> Iterator[Referrer]:
    """All foreign keys to this table, with the columns' real names, which a foreign key may write in another case."""
    found = connection.execute(
        'SELECT m.name, f.id, f."from", f."to" FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f'
        " WHERE m.type = 'table' AND f.\"table\" = ? COLLATE NOCASE ORDER BY m.name, f.id, f.seq",
        (parent,),
    ).fetchall()
    real = {name.lower(): name for name in _types(connection, parent)}
    for (table, _number), columns in groupby(found, key=lambda row: row[:2]):
        own, named = zip(*(row[2:] for row in columns))
        to = _primary_key(connection, parent) if None in named else [real.get(name.lower()) for name in named]
        # If the columns don't match, SQLite itself refuses the delete.
        if len(to) == len(own) and None not in to:
            yield Referrer(table, own, parent, tuple(to))


def _compares_alike(connection: sqlite3.Connection, referrer: Referrer) -> bool:
    """Whether this foreign key matches exactly the rows that we find for a child: not 'A' for 'a', not '01' for 1."""
    own, real = _types(connection, referrer.table), _types(connection, referrer.parent)
    foreign = connection.execute(
        "SELECT i.name FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS i WHERE i.coll <> 'BINARY'",
        (referrer.parent,),
    )
    return not {name for (name,) in foreign} & set(referrer.to) and all(
        own[column] == real[to] for column, to in zip(referrer.columns, referrer.to)
    )


def _types(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    return dict(connection.execute("SELECT name, upper(type) FROM pragma_table_xinfo(?)", (table,)))


def q(identifier: str) -> str:
    """An identifier, quoted for SQL. It has to exist, as SQLite takes an unknown one for a string."""
    return '"' + identifier.replace('"', '""') + '"'


def marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
