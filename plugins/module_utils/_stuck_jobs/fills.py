# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values that differ from row to row: error messages, attempts, ids of tasks, and the time as a job writes it."""

from __future__ import annotations

from typing import Any, NamedTuple

from .actions import Action
from .change import Fill, Shape, attempts_in, show
from .engines.base import Engine, Row, Rows
from .history import with_entry, with_line
from .options import NOW, Table
from .tasks import new_id
from .times import iso_time, parse_zone, span, utc_time


class Job(NamedTuple):
    """The job that a row is, or belongs to."""

    row: Row
    age: float | None  # seconds; None if it is unknown


class Fills:
    """What fills the columns of one database.

    begun: the time of the run.
    """

    def __init__(self, engine: Engine, rows: Rows, begun: float) -> None:
        self._database, self._write_time = engine.database, engine.write_time
        self._at, self._begun, self._zone = rows.at, begun, parse_zone(engine.database.time_zone)

    def of(self, table: Table, action: Action) -> dict[str, Fill]:
        """The columns to fill, each with what makes its value."""
        by_option = {"error_column": self._error, "attempts_column": self._attempts, "task_id_column": self._task_id}
        return {
            **{
                column: self._now
                for column, value in table.set_by(action).items()
                if value == NOW and column != table.status_column
            },
            **{column: by_option[option] for option, column in table.filled_by(action).items()},
        }

    def _error(self, shape: Shape, row: Row, job: Job) -> Any:
        table = shape.table
        attempts = self._attempts_before(shape, row)
        message = table.error_message.format(
            id=show(tuple(shape.value(row, column) for column in table.id_column)),
            status=shape.value(row, table.status_column),
            age="an unknown time" if job.age is None else span(job.age),
            attempts=attempts,
        )
        if table.error_mode == "replace":
            return message
        old = shape.value(row, table.error_column)
        if table.error_mode == "append":
            return with_line(old, message)
        entry = {"at": utc_time(self._begun), "error": message}
        counted = table is self._database and self._database.attempts_column
        return with_entry(old, {**entry, "attempts": attempts} if counted else entry)

    def _attempts(self, shape: Shape, row: Row, _job: Job) -> int:
        return self._attempts_before(shape, row) + 1

    def _attempts_before(self, shape: Shape, row: Row) -> int:
        column = self._database.attempts_column if shape.table is self._database else ""
        return attempts_in(shape.value(row, column)) or 0

    def _task_id(self, shape: Shape, row: Row, _job: Job) -> str | bytes:
        return new_id(like=shape.value(row, self._database.task_id_column))

    def _now(self, _shape: Shape, _row: Row, job: Job) -> Any:
        """The time of the run, written as the job's own time is; if that can't be parsed, as its fallback is."""
        for column in (self._database.time_column, self._database.fallback_time_column):
            if column:
                now = self._write_time(self._begun, job.row[self._at[column]], self._zone)
                if now is not None:
                    return now
        return iso_time(self._begun, self._zone)
