# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine for PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ...._common.users import Identity, service_identity
from ...options import StuckJobsError
from .. import base
from ..base import NotOwner
from .options import PostgreSQLDatabase


class PostgreSQL(base.Engine):
    """A database of a PostgreSQL server."""

    name = "PostgreSQL"
    describes = PostgreSQLDatabase
    database: PostgreSQLDatabase

    @property
    def owner(self) -> Identity:
        try:
            owner = service_identity(self.database.system_user)
        except KeyError:
            raise StuckJobsError(
                f"{self.database}: system_user {self.database.system_user!r} does not exist on this host. Set that of"
                " the application, or deploy the application first."
            ) from None
        if os.geteuid() not in (0, owner.uid):
            raise NotOwner(f"{self.database} is cleaned up by {owner.name}. Run this as {owner.name} or as root.")
        return owner

    @property
    def environment_file(self) -> str:
        return self.database.environment_file

    @contextmanager
    def connect(self, write: bool, texts: Mapping[str, bytes]) -> Iterator[base.Session]:
        raise NotImplementedError

    @staticmethod
    def parse_time(value, zone):
        raise NotImplementedError
