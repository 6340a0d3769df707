# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has SQLite compile what a run would write: a dry run executes none of it, and a run executes nothing before.

So it shows at once if a trigger, a constraint or an index of the table calls a function, or has a collation, that only
the application defines on its own connections, or refers to a table that is gone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

from ...options import Database, StuckJobsError
from .connection import is_locked


def check(connection: sqlite3.Connection, database: Database, table: str, statements: Sequence[str]) -> None:
    """Raises StuckJobsError if these statements, which write to the table, can't be compiled."""
    try:
        for statement in statements:
            connection.execute(f"EXPLAIN {statement}", [None] * statement.count("?")).fetchall()
        _check_constraints(connection, table)
    except (sqlite3.Error, sqlite3.Warning) as error:
        if isinstance(error, sqlite3.OperationalError) and is_locked(error):
            raise
        raise StuckJobsError(
            f"{database}: the rows of {table} can't be written: {error}. A trigger, constraint or index needs what only"
            " the application has, or what no longer exists. Have the application itself clean up this table, or change"
            " its schema. Nothing was changed."
        ) from error


def _check_constraints(connection: sqlite3.Connection, table: str) -> None:
    """Looks at the table's CHECKs. A connection that only reads, as in a dry run, does not have them."""
    ((sql,),) = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
    with closing(sqlite3.connect(":memory:")) as empty:
        try:
            empty.execute(sql)
        except (sqlite3.Error, sqlite3.Warning) as error:  # the table's owner may have stored anything
            if "function" in str(error):
                raise
