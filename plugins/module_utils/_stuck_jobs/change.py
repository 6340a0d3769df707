# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan's elements: what changes, from what to what, why; and what is left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from .actions import Action
from .options import Table
from .times import span


@dataclass(frozen=True)
class Schema:
    """What a table is like. An engine knows more of it."""

    table: Table
    columns: tuple[str, ...]  # all that are stored, in their order
    locator: tuple[str, ...]  # what finds a row fastest, in the engine's own words


@dataclass(frozen=True, eq=False)
class Shape:
    """What all changes of one action on one table have in common."""

    schema: Schema
    action: Action
    read: tuple[str, ...]  # the columns that were read: a row that differs in one of them has changed since
    set: tuple[str, ...]  # the columns that are written
    values: tuple[Any, ...]  # what is written there, but for
    message_at: int | None  # the place of the error message, and
    attempts_at: int | None  # the place of the attempts

    @property
    def table(self) -> Table:
        return self.schema.table

    @cached_property
    def is_written(self) -> bool:
        """A child without a status is only passed through, to its own children, unless it is removed."""
        return self.action.removes or bool(self.set)

    def value(self, row: tuple[Any, ...], column: str) -> Any:
        return row[len(self.schema.locator) + self.read.index(column)] if column else None


class Change(NamedTuple):
    """One row that is to change, and what goes with it."""

    shape: Shape
    row: tuple[Any, ...]  # its place in the table, then shape.read
    after: tuple[Any, ...]  # shape.set
    age: float | None = None  # seconds; None: it was asked for by its id, or belongs to one that changes
    children: tuple[Change, ...] = ()

    @property
    def place(self) -> tuple[Any, ...]:
        return self.row[: len(self.shape.schema.locator)]

    @property
    def before(self) -> tuple[Any, ...]:
        return self.row[len(self.shape.schema.locator) :]

    @property
    def set_before(self) -> tuple[Any, ...]:
        """What stands where `after` is going to."""
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
        """The status that it gets; None if that is NULL, or if the row is removed."""
        return self.after[self.shape.set.index(self.shape.table.status_column)] if self.after else None

    @property
    def becomes(self) -> str:
        """What becomes of it, in a word: its new status, or that it is deleted."""
        return self.shape.action.done if self.shape.action.removes else in_words(self.target)

    @property
    def why(self) -> str:
        if self.shape.table.foreign_key:
            return "belongs to a stuck job"
        return f"{self.status} for {span(self.age)}" if self.age is not None else f"{self.status}, and asked for by id"

    def family(self) -> Sequence[Change]:
        """This one, then its children, at any depth."""
        return (self, *(row for child in self.children for row in child.family())) if self.children else (self,)

    def flat(self) -> Sequence[Change]:
        """Those of the family that are really written."""
        if not self.children:
            return (self,) if self.shape.is_written else ()
        return [row for row in self.family() if row.shape.is_written]

    def as_data(self) -> dict[str, Any]:
        return {
            "table": self.shape.table.table,
            "id": self.id,
            "action": self.shape.action.name,
            "from": plain(self.status),
            "to": plain(self.target),
            "why": self.why,
        }


class Recorded(NamedTuple):
    """A row as the record of a run has it: how it was, and what it became."""

    table: str
    action: Action
    key: Mapping[str, Any]
    before: Mapping[str, Any]  # of the columns that were set; of a deleted row, all that comes back
    after: Mapping[str, Any]


class Note(NamedTuple):
    """A row that was left alone, and why."""

    table: str
    id: str
    why: str


def show(key: tuple[Any, ...]) -> str:
    """An id on one printable line; a binary one (a UUID's 16 bytes) in hex, as it can be given back to us."""
    text = "/".join(value.hex() if isinstance(value, bytes) else str(value) for value in key)
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def in_words(value: Any) -> str:
    """A value of a column, for people."""
    return "NULL" if value is None else str(plain(value))


def plain(value: Any) -> Any:
    """A value of a column, for JSON."""
    return value.hex() if isinstance(value, bytes) else value
