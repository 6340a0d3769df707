# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite, by Python's own sqlite3.

access   the owner, and opening  connection  waits for others' locks
schema   tables and columns      rows        reads the jobs, page by page
times    Julian days             write       transactions, and restoring rows
compile  whether it can write
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from ...._common.users import Identity
from .. import base
from . import access, times
from .options import SQLiteDatabase
from .write import Session


class SQLite(base.Engine):
    """A database file of SQLite."""

    name = "SQLite"
    describes = SQLiteDatabase
    database: SQLiteDatabase

    @property
    def owner(self) -> Identity:
        return access.owner_of(self.database)

    @contextlib.contextmanager
    def connect(self, write: bool, texts: Mapping[str, bytes]) -> Iterator[base.Session]:
        with access.connect(self.database, write) as connection:
            yield Session(connection, self.database)

    parse_time = staticmethod(times.parse_time)
    write_time = staticmethod(times.write_time)
