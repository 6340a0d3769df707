# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is needed to write SQL for the tables of a database's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ... import change
from ...options import Database, StuckJobsError, Table
from ..base import Referrer
from .access import Access
from .checks import wrong
from .tables import Column, Found, Tables


@dataclass(frozen=True)
class Schema(change.Schema):
    """What is needed to write SQL for a table. The locator is the columns of the id."""

    name: str  # with its schema, quoted
    column: Mapping[str, Column]
    in_unique: frozenset[str]  # the columns of unique indexes

    def of(self, *names: str) -> list[Column]:
        return [self.column[name] for name in names]


def read_schema(access: Access, tables: Tables, database: Database) -> dict[str, Schema]:
    """The schema of each table of the family, by its name. Raises StuckJobsError with all errors."""
    found: dict[str, Found] = {}
    errors = wrong(access, tables, database, found)
    if errors:
        raise StuckJobsError(f"{database}: {' '.join(dict.fromkeys(errors))} Nothing was changed.")
    return {table.table: _schema(tables, found[table.table], table) for table in database.family()}


def _schema(tables: Tables, found: Found, table: Table) -> Schema:
    columns = tables.columns(found)
    stored = tuple(column.name for column in columns.values() if not column.is_generated)
    in_unique = frozenset().union(*tables.unique(found))
    return Schema(table, stored, tuple(table.id_column), found.quoted, columns, in_unique)


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
