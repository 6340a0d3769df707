# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to look for, and what is to become of it: the options, as data, with their mistakes named."""

from __future__ import annotations

import difflib
import re
import string
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence

from .times import parse_threshold, parse_zone

ACTIONS = ("reset", "fail", "delete")
ERROR_MODES = ("replace", "append")
POLICIES = ("", "abort", "ignore")
PLACEHOLDERS = ("id", "status", "age", "attempts")


class StuckJobsError(Exception):
    """What is wrong and what to do next, in words for the operator."""


@dataclass(frozen=True)
class Table:
    """A table with a status column: of the jobs themselves, or (with a foreign key) of what belongs to them."""

    table: str
    id_column: Sequence[str] = ("id",)  # several: a composite key
    status_column: str = "status"  # a child may have none: then only a delete touches it
    stuck_statuses: Sequence[Any] = ("processing",)
    reset_to: Any = "pending"
    fail_to: Any = "failed"
    reset_set: Mapping[str, Any] = field(default_factory=dict)  # what else a reset or a failure sets
    fail_set: Mapping[str, Any] = field(default_factory=dict)
    error_column: str = ""
    error_mode: str = "replace"
    error_message: str = "Stuck in {status} for {age}, and set to failed by job_cleanup"
    foreign_key: Sequence[str] = ()
    children: Sequence[Table] = ()

    @property
    def columns(self) -> Iterator[tuple[str, str]]:
        """The options that name a column, with the column."""
        for option in ("id_column", "status_column", "error_column", "foreign_key", *self._more_columns):
            value = getattr(self, option)
            for column in (value,) if isinstance(value, str) else value:
                if column:
                    yield option, column

    _more_columns = ("reset_set", "fail_set")

    def set_to(self, action: str) -> dict[str, Any]:
        """The columns that an action sets to what the options say, without the error and the attempts."""
        if action == "delete" or not self.status_column:
            return {}
        status, more = {"reset": (self.reset_to, self.reset_set), "fail": (self.fail_to, self.fail_set)}[action]
        return {self.status_column: status, **more}

    def family(self) -> Iterator[Table]:
        yield self
        for child in self.children:
            yield from child.family()


@dataclass(frozen=True)
class Celery:
    """The application whose workers are asked what they are doing, and that sends tasks."""

    app: str
    directory: str
    python: str  # the interpreter of its virtual environment
    environment_file: str = ""
    workers: Sequence[str] = ()  # the nodes that have to answer; none: at least one
    timeout: float = 5
    task_id_column: str = ""
    unreachable: str = ""  # abort or ignore; empty: abort a reset or a delete, ignore for a failure


@dataclass(frozen=True)
class Requeue:
    """The task to send for each job that was reset."""

    task: str
    args: Sequence[Any] = ("{id}",)
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str = ""


@dataclass(frozen=True)
class Database(Table):
    """One database: where it is, what is stuck in it, and what is to become of that."""

    name: str = ""
    path: str = ""
    time_column: str = "updated_at"
    fallback_time_column: str = ""  # where time_column is NULL
    time_zone: str = "UTC"  # of timestamps without an offset
    threshold: Any = "30m"
    threshold_column: str = ""  # empty: the status column
    thresholds: Mapping[Any, Any] = field(default_factory=dict)  # by the value of that column
    action: str = "reset"
    attempts_column: str = ""
    count_attempts: bool = True  # a reset adds one; False where the application counts itself
    max_attempts: int = 0  # fail what was attempted as often; 0: no cap
    jobs: Sequence[str] = ()  # none: all that are old enough
    respect_age: bool = False  # of the given jobs, too
    celery: Celery | None = None
    requeue: Requeue | None = None
    busy_timeout: float = 30
    record_directory: str = "/var/lib/evenkeel/job_cleanup"

    _more_columns = (
        *("reset_set", "fail_set", "time_column", "fallback_time_column", "threshold_column", "attempts_column"),
        "task_id_column",
    )

    @property
    def task_id_column(self) -> str:
        return self.celery.task_id_column if self.celery else ""

    @property
    def unreachable(self) -> str:
        """What to do when the workers can't be asked."""
        said = self.celery.unreachable if self.celery else ""
        return said or ("ignore" if self.action == "fail" else "abort")

    def __str__(self) -> str:
        return f"{self.name} ({self.path})"


# A child speaks of the same states as its parent; its columns are its own.
_INHERITED = ("stuck_statuses", "reset_to", "fail_to", "error_message")
_LISTS = ("id_column", "foreign_key", "stuck_statuses", "jobs", "children", "workers", "args")


def read_options(options: Mapping[str, Any]) -> Database:
    """The Database that a dictionary of options describes; what is None counts as not said."""
    said = _said(options)
    name = str(said.get("name") or "a database without a name")
    _refuse_unknown(said, Database, name)
    _require(said, name, "name", "path", "table", *{"status_column", "time_column"}.intersection(said))
    said["children"] = _children(said, name)
    for option, kind, required in (("celery", Celery, ("app", "directory", "python")), ("requeue", Requeue, ("task",))):
        if said.get(option):
            inner = _said(said[option])
            _refuse_unknown(inner, kind, f"{name}: {option}")
            _require(inner, f"{name}: {option}", *required)
            said[option] = kind(**inner)
        else:
            said.pop(option, None)
    database = Database(**said)
    for mistake in _mistakes(database):
        raise StuckJobsError(f"{name}: {mistake}")
    return database


def _children(said: dict[str, Any], name: str) -> tuple[Table, ...]:
    inherited = {key: said[key] for key in _INHERITED if key in said}
    children = []
    for options in said.get("children", ()):
        child = {**inherited, **_said(options)}
        _refuse_unknown(child, Table, f"{name}: children")
        _require(child, f"{name}: children", "table", "foreign_key")
        child["children"] = _children(child, name)
        children.append(Table(**child))
    return tuple(children)


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    said = {key: value for key, value in options.items() if value is not None}
    for key in _LISTS:
        if key in said:
            value = said[key]
            said[key] = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return said


def _refuse_unknown(said: Mapping[str, Any], wanted: type, where: str) -> None:
    known = [item.name for item in fields(wanted)]
    for key in said:
        if key not in known:
            raise StuckJobsError(f"{where}: there is no option `{key}`. {nearest(key, known)}")


def _require(said: Mapping[str, Any], where: str, *options: str) -> None:
    for option in options:
        if not said.get(option):
            raise StuckJobsError(f"{where}: `{option}` is missing.")


def nearest(name: str, real: Iterable[str]) -> str:
    """Did you mean …? Or all that there is."""
    real = sorted(real)
    close = difflib.get_close_matches(name, real, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(real)}."


def _mistakes(database: Database) -> Iterator[str]:
    if not re.fullmatch(r"[\w.-]+", database.name):
        yield "a name is made of letters, digits, '.', '_' and '-'."
    for option in ("path", "record_directory"):
        path = getattr(database, option)
        if path and not Path(path).is_absolute():
            yield f"{option} {path!r} is not absolute. Write it from / on."
    if database.action not in ACTIONS:
        yield f"action {database.action!r} is not one of {', '.join(ACTIONS)}."
    if not all(str(job) for job in database.jobs):
        yield "`jobs` holds an empty id, which every job begins with."
    for option, threshold in (
        ("threshold", database.threshold),
        *(("thresholds", t) for t in database.thresholds.values()),
    ):
        try:
            parse_threshold(threshold)
        except ValueError as error:
            yield f"{option} {error}."
    try:
        parse_zone(database.time_zone)
    except ValueError as error:
        yield f"time_zone {error}."
    if database.max_attempts and not database.attempts_column:
        yield "max_attempts needs attempts_column, where the attempts are counted."
    if database.requeue and not database.celery:
        yield "requeue needs celery: the application that sends the task."
    if database.celery and database.celery.unreachable not in POLICIES:
        yield f"celery: unreachable {database.celery.unreachable!r} is not abort or ignore."
    yield from _family_mistakes(database)


def _family_mistakes(database: Database) -> Iterator[str]:
    names = [table.table for table in database.family()]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield f"children: table {name} is named twice. Name each table once, and the jobs' own not among the children."
    for table in database.family():
        yield from _table_mistakes(table)
        yield from _unfit_values(table)


def _table_mistakes(table: Table) -> Iterator[str]:
    if not table.stuck_statuses or None in table.stuck_statuses:
        yield f"stuck_statuses of {table.table} is empty, or one of them is. Name one, such as processing."
    for option in ("reset_to", "fail_to"):
        if getattr(table, option) in table.stuck_statuses:
            yield f"{option} of {table.table} is itself one of its stuck_statuses."
    if table.error_column and not table.status_column:
        yield f"error_column of {table.table} needs its status_column: what has no status can't fail."
    if table.error_mode not in ERROR_MODES:
        yield f"error_mode {table.error_mode!r} of {table.table} is not one of {', '.join(ERROR_MODES)}."
    try:
        for _text, name, form, _conversion in string.Formatter().parse(table.error_message):
            if name is not None and (name not in PLACEHOLDERS or form):
                yield f"error_message of {table.table}: {{{name}}} is none of {{{'}, {'.join(PLACEHOLDERS)}}}."
    except ValueError as error:
        yield f"error_message of {table.table}: {error}. Write {{{{ and }}}} for braces."
    for child in table.children:
        if len(child.foreign_key) != len(table.id_column):
            wanted = ", ".join(table.id_column)
            yield f"foreign_key of {child.table} needs a column for each of {table.table}'s id_column: {wanted}."


def _unfit_values(table: Table) -> Iterator[str]:
    values = [("reset_to", table.reset_to), ("fail_to", table.fail_to)]
    values += [("stuck_statuses", status) for status in table.stuck_statuses]
    for option in ("reset_set", "fail_set"):
        values += [(f"{option}: {column}", value) for column, value in getattr(table, option).items()]
    for option, value in values:
        if not isinstance(value, (str, int, float, bytes, type(None))):
            yield f"{option} of {table.table}: {value!r} is no value for a column. Write a text, a number or null."
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            yield f"{option} of {table.table}: {value} is more than 64 bits hold."
