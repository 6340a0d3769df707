# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of an engine, the part that knows one kind of database. All other code uses only these classes.

An engine opens a database, reads its rows by pages, and writes changes if the rows are still as they were read. It
knows nothing of what is stuck, what to do about it, the record and the report.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Callable

from ..._common.users import Identity
from .. import times
from ..actions import that_set
from ..change import Change, Recorded, Schema, Shape, show
from ..options import Database, StuckJobsError, Table

Row = Sequence[Any]


class Refused(Exception):
    """The database refuses a write, for example because of a constraint or a trigger. The message is the database's."""


class NotOwner(StuckJobsError):
    """We are neither the database's owner nor root."""


class NotText(bytes):
    """A value of a text type that can't be decoded, and so can be neither compared nor recorded as text."""


@dataclass(frozen=True)
class Referrer:
    """A foreign key of any table that refers to a table of the family."""

    table: str
    columns: tuple[str, ...]
    parent: str
    to: tuple[str, ...]  # the parent's columns


class Engine(ABC):
    """One database: its owner, and how to open it."""

    name: str  # of this kind of database, in messages: SQLite
    describes: type[Database]  # the class of its databases' options

    def __init__(self, database: Database) -> None:
        self.database = database

    @property
    def environment_file(self) -> str:
        """A file with the login, which root may have to read for the owner; empty if there is none."""
        return ""

    @property
    @abstractmethod
    def owner(self) -> Identity:
        """The user as whom everything is done, found without opening the database.

        Raises StuckJobsError if the database can't be used, or not by us: neither root nor the owner.
        """

    @abstractmethod
    def connect(self, write: bool, texts: Mapping[str, bytes]) -> AbstractContextManager[Session]:
        """Opens the database, as its owner, and never creates it. Raises StuckJobsError.

        texts: of environment files that root has read, by their paths.
        """

    @staticmethod
    @abstractmethod
    def parse_time(value: Any, zone: tzinfo) -> float | None:
        """The epoch seconds of a value of a time column, or None if there is any doubt about it."""

    @staticmethod
    def write_time(seconds: float, like: Any, zone: tzinfo) -> Any:
        """A time in the form of this value of a time column; None if that one can't be parsed."""
        return times.write_time(seconds, like, zone)


class Session(ABC):
    """An open database."""

    hold: float  # seconds for which one transaction may hold it
    is_remote = False  # whether another process does the work, so that there is time for ours
    meanwhile: Callable[[], bool] | None = None  # our work in that time, for aside.beside

    def now(self) -> float:
        """The database's own clock, in epoch seconds."""
        return time.time()

    @abstractmethod
    def rows(self) -> Rows:
        """The jobs and the rows that belong to them. Raises StuckJobsError for options that do not fit the schema."""

    @abstractmethod
    def check(self, shapes: Iterable[Shape]) -> None:
        """Raises StuckJobsError if the database can't execute these writes, whatever the rows are. Writes nothing."""

    @abstractmethod
    def begin(self) -> None:
        """Begins a transaction that writes, after other processes that want to write have had time to."""

    @abstractmethod
    def commit(self) -> None:
        """Raises Refused if a deferred constraint fails."""

    @abstractmethod
    def roll_back(self) -> bool:
        """Rolls the current transaction back; False if there is none."""

    @abstractmethod
    def write(
        self, changes: Sequence[Change], unharmed: Callable[[Sequence[Change]], list[Change]]
    ) -> tuple[list[Change], dict[tuple[Any, ...], str]]:
        """Writes the jobs that are still as they were read, each with its whole family or not at all.

        unharmed: returns those of the given changes whose families are still as planned; has to be called within the
        transaction.
        Returns the changes that were written, and the places of those that the database refused, with its messages.
        Is called within a transaction, which it may replace by another one.
        """

    @abstractmethod
    def put_back(self, row: Recorded) -> bool:
        """Restores one row; False if it is no longer as the run left it."""

    @abstractmethod
    def put_back_whole(self, job: Sequence[Recorded]) -> bool:
        """Restores all of these rows, or none of them."""

    @abstractmethod
    def is_there(self, row: Recorded, like: Mapping[str, Any]) -> bool:
        """Whether there is a row with this key and these values."""


class Rows(ABC):
    """The rows of the family. A row is the values of its locator, followed by those of its table's `columns`."""

    schemas: Mapping[str, Schema]  # by table
    referrers: Sequence[Referrer]  # foreign keys that a removal has to respect, besides those of the named children
    page_size: int  # rows that a batch may have at most
    met_not_text: bool  # whether any row so far contained NotText

    def __init__(self, database: Database, schemas: Mapping[str, Schema]) -> None:
        self.database, self.schemas = database, schemas
        self.columns = {table.table: self._columns_to_read(table) for table in database.family()}
        first = len(schemas[database.table].locator)
        # The position of each column in a job's row.
        self.at = {column: number for number, column in enumerate(self.columns[database.table], first)}
        self._key = slice(first, first + len(database.id_column))

    def key(self, row: Row) -> tuple[Any, ...]:
        """The id of a job."""
        return row[self._key]

    @abstractmethod
    def stuck(self) -> Iterator[list[Row]]:
        """Pages of rows with a stuck status, so that no query takes long."""

    @abstractmethod
    def find(self, job: str) -> tuple[Row, bool] | None:
        """The row of an id or of an unambiguous prefix of one, and whether its status is a stuck one."""

    @abstractmethod
    def children_of(self, child: Table, keys: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Row]]:
        """The rows that belong to these parents and change with them, each with its parent's number."""

    @abstractmethod
    def referring(
        self, referrer: Referrer, places: Sequence[tuple[int, tuple[Any, ...]]]
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The places of the rows that refer to these, with their numbers; () for a table outside the family."""

    def _check_is_one(self, job: str, rows: Sequence[Row]) -> None:
        """Raises StuckJobsError if several jobs have an id with this beginning."""
        if len(rows) > 1:
            names = ", ".join(show(self.key(row)) for row in rows[:5]) + (", …" if len(rows) > 5 else "")
            raise StuckJobsError(
                f"{self.database}: {job!r} is the beginning of several ids: {names}. Use a longer one."
            )

    def _columns_to_read(self, table: Table) -> tuple[str, ...]:
        columns = [
            *table.id_column,
            # Of a row that is removed, all columns: they have to be unchanged, and an undo restores them.
            *(self.schemas[table.table].columns if self.database.action.removes else ()),
            table.status_column,
            *(column for action in that_set() for column in table.set_by(action)),
            table.error_column,
        ]
        if isinstance(table, Database):
            columns += [table.time_column, table.fallback_time_column, table.heartbeat_column]
            columns += [table.threshold_column, table.attempts_column, table.task_id_column, *table.only]
        return tuple(dict.fromkeys(filter(None, columns)))
