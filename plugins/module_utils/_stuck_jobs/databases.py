# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of databases: which of them an entry of an inventory, or the head of a record, describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .engines.base import Engine
from .engines.postgresql.engine import PostgreSQL
from .engines.sqlite.engine import SQLite
from .options import Database, StuckJobsError, read_options

ENGINES: tuple[type[Engine], ...] = (SQLite, PostgreSQL)


def read_database(options: Mapping[str, Any]) -> Database:
    """The database that these options describe. Raises StuckJobsError for the first error found."""
    found = [engine for engine in ENGINES if any(options.get(option) for option in engine.describes.told_by)]
    if len(found) != 1:
        name = options.get("name") or "a database without a name"
        kinds = ", ".join(f"`{engine.describes.told_by[0]}` for {engine.name}" for engine in ENGINES)
        wrong = "options of different kinds of databases are set" if found else "it is not said where the database is"
        raise StuckJobsError(f"{name}: {wrong}. Set one of: {kinds}.")
    return read_options(options, found[0].describes)


def engine_of(database: Database) -> Engine:
    """The engine for a database."""
    return next(engine(database) for engine in ENGINES if isinstance(database, engine.describes))


def engine_of_record(head: Mapping[str, Any]) -> Engine:
    """The engine for the database that the head of a record describes. Raises StuckJobsError."""
    login = head.get("login", {"path": head["database"]})  # older records are all of SQLite
    return engine_of(read_database({**login, "name": head["name"], "table": "any"}))


def where(options: Mapping[str, Any]) -> str:
    """Where the database of an entry is, for people and to compare two entries, even if its options are not valid."""
    try:
        return read_database(options).where
    except StuckJobsError:
        return str(options.get("path") or options.get("login_db"))
