# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine is: the part that knows one kind of database. All else works on these classes alone.

An engine reaches a database, reads its rows by pages, and writes changes that are fenced by what was read. What is
stuck, what becomes of it, the record and the report are not its business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Callable

from ..._common.users import Identity
from ..actions import that_set
from ..change import Change, Recorded, Schema
from ..options import Database, Table

Row = Sequence[Any]


class Refused(Exception):
    """The database refuses a write, such as by a constraint or a trigger. Its words are the message."""


class NotText(bytes):
    """What the database says is text but can't be decoded: it could neither be compared nor recorded as such."""


@dataclass(frozen=True)
class Referrer:
    """A foreign key, whichever table it belongs to, that points to a table of the family."""

    table: str
    columns: tuple[str, ...]
    parent: str
    to: tuple[str, ...]  # the parent's columns


class Engine(ABC):
    """One database: whose it is, and the way to it."""

    name: str  # of the kind, in messages: SQLite

    def __init__(self, database: Database) -> None:
        self.database = database

    @property
    @abstractmethod
    def owner(self) -> Identity:
        """The user as whom everything is done. Raises StuckJobsError where the database can't be used."""

    @abstractmethod
    def acting_as_owner(self) -> AbstractContextManager[None]:
        """Root acts as the owner meanwhile; anybody else but the owner gets a StuckJobsError."""

    @abstractmethod
    def connect(self, write: bool) -> AbstractContextManager[Session]:
        """Opens the database and never creates it. Raises StuckJobsError."""

    @staticmethod
    @abstractmethod
    def parse_time(value: Any, zone: tzinfo) -> float | None:
        """Epoch seconds of a value of a time column, or None where there is any doubt about it."""


class Session(ABC):
    """An open database."""

    hold: float  # seconds for which one transaction may hold it

    @abstractmethod
    def rows(self) -> Rows:
        """The jobs and what belongs to them. Raises StuckJobsError for options that do not fit the schema."""

    @abstractmethod
    def begin(self) -> None:
        """Begins a transaction that writes, once others that want to write have had their turn."""

    @abstractmethod
    def commit(self) -> None:
        """Raises Refused where a constraint is only looked at now."""

    @abstractmethod
    def roll_back(self) -> bool:
        """Ends a transaction without a trace; False if there is none to end."""

    @abstractmethod
    def give_way(self) -> None:
        """A transaction is over and the next is only being planned: others' turn begins. Must not wait."""

    @abstractmethod
    def write(
        self, changes: Sequence[Change], unharmed: Callable[[Sequence[Change]], list[Change]]
    ) -> tuple[list[Change], dict[tuple[Any, ...], str]]:
        """Writes the jobs that still are as they were read, each with its family or not at all.

        unharmed: of these changes, those whose families are still as planned; to be called within the transaction.
        Returns the changes that were written, and the places of those that the database refuses, with its words.
        Within a transaction, which it may replace by another one.
        """

    @abstractmethod
    def put_back(self, row: Recorded) -> bool:
        """Makes one row what it was before; False where it is no longer as we left it."""

    @abstractmethod
    def put_back_whole(self, job: Sequence[Recorded]) -> bool:
        """Makes all of these rows what they were before, or none of them."""

    @abstractmethod
    def is_there(self, row: Recorded, like: Mapping[str, Any]) -> bool:
        """Whether there is a row of this key with these values."""


class Rows(ABC):
    """The rows of the family, each as its place in its table, followed by that table's `columns`."""

    schemas: Mapping[str, Schema]  # by table
    referrers: Sequence[Referrer]  # that an action that removes has to respect, besides the named children
    page_size: int  # rows that a batch may have at most
    met_not_text: bool  # whether a row held NotText

    def __init__(self, database: Database, schemas: Mapping[str, Schema]) -> None:
        self.database, self.schemas = database, schemas
        self.columns = {table.table: self._columns_to_read(table) for table in database.family()}
        first = len(schemas[database.table].locator)
        # Where in a job's row each column stands.
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
        """The row of an id, or of an unambiguous beginning of one, and whether its status is a stuck one."""

    @abstractmethod
    def children_of(self, child: Table, keys: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Row]]:
        """The rows that belong to these parents and go with them, each with its parent's number."""

    @abstractmethod
    def referring(
        self, referrer: Referrer, places: Sequence[tuple[int, tuple[Any, ...]]]
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The places of the rows that refer to these, with their numbers; () for a table outside the family."""

    def _columns_to_read(self, table: Table) -> tuple[str, ...]:
        columns = [
            *table.id_column,
            # Of what is removed, all: that is what has to be unchanged, and to come back.
            *(self.schemas[table.table].columns if self.database.action.removes else ()),
            table.status_column,
            *(column for action in that_set() for column in table.set_by(action)),
            table.error_column,
        ]
        if isinstance(table, Database):
            columns += [table.time_column, table.fallback_time_column, table.threshold_column, table.attempts_column]
            columns += [table.task_id_column]
        return tuple(dict.fromkeys(filter(None, columns)))
