# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL, by psycopg 3 or psycopg2.

options  where it is             driver  either driver, as one interface
login    libpq's parameters      access  transactions, and errors explained
tables   names, types, keys      checks  what in the options does not fit them
schema   what SQL has to know    rows    reads the jobs, page by page
times    its timestamps          write   fenced statements, and restoring rows
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from ...._common.users import Identity, service_identity
from ...options import StuckJobsError
from .. import base
from ..base import NotOwner, Refused
from . import login, times
from .access import Access, check_server
from .checks import check_role
from .options import PostgreSQLDatabase
from .write import Session


class PostgreSQL(base.Engine):
    """A database of a PostgreSQL server."""

    name = "PostgreSQL"
    describes = PostgreSQLDatabase
    database: PostgreSQLDatabase

    @property
    def owner(self) -> Identity:
        """The application's system user takes the place of a file's owner."""
        try:
            owner = service_identity(self.database.system_user)
        except KeyError:
            raise StuckJobsError(
                f"{self.database}: system_user {self.database.system_user!r} does not exist on this host. Set that of"
                " the application, or deploy the application first."
            ) from None
        if owner.uid == 0:
            raise StuckJobsError(
                f"{self.database}: {self.database.system_user} is root. Set the application's system user."
            )
        if os.geteuid() not in (0, owner.uid):
            raise NotOwner(f"{self.database} is cleaned up by {owner.name}. Run this as {owner.name} or as root.")
        return owner

    @property
    def environment_file(self) -> str:
        return self.database.environment_file

    @contextlib.contextmanager
    def connect(self, write: bool, texts: Mapping[str, bytes]) -> Iterator[base.Session]:
        with contextlib.closing(Access(self.database, login.parameters(self.database, texts))) as access:
            try:
                check_server(access, write)  # runs nothing of the application's
                check_role(access)
                yield Session(access)
            except Refused as error:  # where nothing was to be written
                raise StuckJobsError(f"{self.database}: PostgreSQL reports: {error}.") from None

    parse_time = staticmethod(times.parse_time)
