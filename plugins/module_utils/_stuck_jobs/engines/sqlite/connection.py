# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that finds the short gaps between another process's transactions."""

from __future__ import annotations

import re
import sqlite3
import time
from typing import Any

LOOK = 0.0005  # seconds between two attempts to get a lock


class Connection(sqlite3.Connection):
    """Repeats a statement while another process holds a lock that it needs.

    SQLite can do this itself, but soon looks only every 100 ms: it hardly ever meets the gap of a few milliseconds that
    a process leaves that commits again and again. A statement that finds the database locked has done nothing, and a
    COMMIT keeps its transaction, so both can be repeated.
    """

    patience = 0.0  # seconds

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        until = 0.0
        while True:
            try:
                return super().execute(sql, parameters)
            except sqlite3.OperationalError as error:
                now = time.monotonic()
                until = until or now + self.patience
                if not is_locked(error) or now >= until:
                    raise
            time.sleep(LOOK)

    def data_version(self) -> int | None:
        """A number that changes when another process commits; None while one is committing. Does not wait."""
        try:
            return super().execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not is_locked(error):
                raise
            return None


def is_locked(error: sqlite3.Error) -> bool:
    return bool(re.fullmatch(r"database( table)?( schema)? is locked.*", str(error)))
