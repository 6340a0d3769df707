# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The elements of a plan: which rows change, from what to what and why, and which are left alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Callable, NamedTuple

from .._common.texts import printable
from .actions import Action
from .options import Table
from .times import span


@dataclass(frozen=True)
class Schema:
    """The schema of a table. Engines extend it."""

    table: Table
    columns: tuple[str, ...]  # all stored columns, in their order
    locator: tuple[str, ...]  # the columns by which a row is found fastest, as the engine writes them


Fill = Callable[["Shape", Sequence[Any], Any], Any]  # makes a value of the shape, the row as read, and its fills.Job


@dataclass(frozen=True, eq=False)
class Shape:
    """What all changes of one action on one table have in common."""

    schema: Schema
    action: Action
    read: tuple[str, ...]  # the columns that were read: a row that differs in one of them has changed since
    set: tuple[str, ...]  # the columns that are written
    values: tuple[Any, ...]  # what is written there, except at the positions of:
    filled: Sequence[tuple[int, Fill]]  # what differs from row to row

    @property
    def table(self) -> Table:
        return self.schema.table

    @cached_property
    def is_written(self) -> bool:
        """False for a child without a status that is not removed: only its own children are written."""
        return self.action.removes or bool(self.set)

    def value(self, row: tuple[Any, ...], column: str) -> Any:
        return row[len(self.schema.locator) + self.read.index(column)] if column else None


class Change(NamedTuple):
    """One row that has to change, and the rows that change with it."""

    shape: Shape
    row: tuple[Any, ...]  # the values of the locator, then those of shape.read
    after: tuple[Any, ...]  # the new values of shape.set
    age: float | None = None  # seconds; None if it was given by its id or belongs to another row that changes
    children: tuple[Change, ...] = ()

    @property
    def place(self) -> tuple[Any, ...]:
        return self.row[: len(self.shape.schema.locator)]

    @property
    def before(self) -> tuple[Any, ...]:
        return self.row[len(self.shape.schema.locator) :]

    @property
    def set_before(self) -> tuple[Any, ...]:
        """The values that `after` replaces."""
        return tuple(self.shape.value(self.row, column) for column in self.shape.set)

    @property
    def key(self) -> tuple[Any, ...]:
        return tuple(self.shape.value(self.row, column) for column in self.shape.table.id_column)

    @property
    def id(self) -> str:
        return show(self.key)

    @property
    def status(self) -> Any:
        return self.shape.value(self.row, self.shape.table.status_column)

    @property
    def target(self) -> Any:
        """The new status; None if that is NULL, or if the row is removed."""
        return self.after[self.shape.set.index(self.shape.table.status_column)] if self.after else None

    @property
    def why(self) -> str:
        if self.shape.table.foreign_key:
            return "belongs to a stuck job"
        return f"{self.status} for {span(self.age)}" if self.age is not None else f"{self.status}, and given by its id"

    def family(self) -> Sequence[Change]:
        """This change, then those of its children, at any depth."""
        return (self, *(row for child in self.children for row in child.family())) if self.children else (self,)

    def flat(self) -> Sequence[Change]:
        """The changes of the family that are written."""
        if not self.children:
            return (self,) if self.shape.is_written else ()
        return [row for row in self.family() if row.shape.is_written]


class Recorded(NamedTuple):
    """A row in the record of a run, before and after it."""

    table: str
    action: Action
    key: Mapping[str, Any]
    before: Mapping[str, Any]  # the columns that were set; of a deleted row, all that an undo restores
    after: Mapping[str, Any]
    row: Mapping[str, Any]  # all columns that were read


class Note(NamedTuple):
    """A row that was left alone, and why."""

    table: str
    id: str
    why: str


def show(key: tuple[Any, ...]) -> str:
    """An id as printable text on one line; a binary one (such as a UUID's 16 bytes) in hex, as `jobs` accepts it."""
    return printable("/".join(value.hex() if isinstance(value, bytes) else str(value) for value in key))


def attempts_in(value: Any) -> int | None:
    """A counter as applications store it: 5, 5.0 or '5'; NULL is 0. None if it is no number or too large to add one."""
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}(\.0*)?\s*", value, re.ASCII):
        value = int(value.partition(".")[0])
    elif isinstance(value, float) and float.is_integer(value):
        value = int(value)
    elif value is None:
        return 0
    return value if isinstance(value, int) and value < 2**63 - 1 else None


def size_of(row: Sequence[Any]) -> int:
    """The characters and bytes of a row's texts and blobs."""
    size = 0
    for value in row:
        if isinstance(value, (str, bytes)):
            size += len(value)
    return size


def in_words(value: Any) -> str:
    """A column's value for people."""
    return "NULL" if value is None else str(plain(value))


def plain(value: Any) -> Any:
    """A column's value for JSON."""
    return value.hex() if isinstance(value, bytes) else value
