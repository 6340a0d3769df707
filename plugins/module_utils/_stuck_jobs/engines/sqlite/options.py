# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a database of SQLite is. Each option is described here, and nowhere else by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...._common.options import Option
from ...options import Database, path_errors

LOGIN = (Option("path", "path", "The database file. It must exist; it is never created.", required=True),)


@dataclass(frozen=True)
class SQLiteDatabase(Database):
    """A file with jobs."""

    path: str = ""

    told_by = required = login_options = ("path",)

    @property
    def where(self) -> str:
        return self.path

    def login_errors(self) -> Iterator[str]:
        yield from path_errors(self, "path")
