# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a database, checked, as data."""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Callable, ClassVar, NamedTuple

from .._common.paths import STATE
from .._common.pools import POOLS
from .._common.quantities import format_size, parse_duration, parse_size
from .actions import ACTIONS, RESET, Action, that_set
from .times import parse_zone, span

ERROR_MODES = ("replace", "append", "json")
POLICIES = ("", "abort", "ignore")
PLACEHOLDERS = ("id", "status", "age", "attempts")
NOW = "{now}"  # among the columns that an action sets: the time of the run
# A worker holds a task with a countdown unacknowledged. By default, RabbitMQ closes its channel after half an hour, and
# Redis delivers the task once more after an hour.
LONGEST_COUNTDOWN = 1800.0  # seconds


class StuckJobsError(Exception):
    """What is wrong and what to do next, as sentences for the operator."""


class Outcome(NamedTuple):
    """What an action sets in a row."""

    status: Any  # None: NULL
    columns: Mapping[str, Any] = {}  # the other columns


class NamedColumn(NamedTuple):
    """A column that an option names."""

    option: str
    column: str
    is_written: bool


def _outcomes() -> dict[str, Outcome]:
    return {action.name: Outcome(action.status) for action in that_set()}


@dataclass(frozen=True)
class Table:
    """A table with a status column: that of the jobs, or (with a foreign key) one whose rows belong to them."""

    table: str
    id_column: Sequence[str] = ("id",)  # several: a composite key
    status_column: str = "status"  # a child may have none: then only an action that removes touches it
    stuck_statuses: Sequence[Any] = ("processing",)
    outcomes: Mapping[str, Outcome] = field(default_factory=_outcomes)  # by the action's name, of <name>_to, <name>_set
    error_column: str = ""
    error_mode: str = "replace"
    error_message: str = "Stuck in {status} for {age}, and set to failed by job_cleanup"
    foreign_key: Sequence[str] = ()
    children: Sequence[Table] = ()

    @property
    def columns(self) -> Iterator[NamedColumn]:
        """The columns that options name."""
        written = {"status_column"}.union(*map(self.filled_by, that_set()))
        for option in self._column_options:
            value = getattr(self, option)
            for column in (value,) if isinstance(value, str) else value:
                if column:
                    yield NamedColumn(option, column, option in written)
        for action in that_set():
            for column in self.outcomes[action.name].columns:
                yield NamedColumn(action.set_option, column, True)

    _column_options = ("id_column", "status_column", "error_column", "foreign_key")

    def set_by(self, action: Action) -> dict[str, Any]:
        """The columns and values that the options set for an action, without those of filled_by."""
        if action.removes or not self.status_column:
            return {}
        status, columns = self.outcomes[action.name]
        return {self.status_column: status, **columns}

    def filled_by(self, action: Action) -> dict[str, str]:
        """The options whose columns get a value of each row's own, with these columns."""
        return {"error_column": self.error_column} if action.writes_error and self.error_column else {}

    def family(self) -> Iterator[Table]:
        """This table, then its children, at any depth."""
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
    pool: str = "prefork"  # one of POOLS
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    workers: Sequence[str] = ()  # the nodes that have to answer; empty: at least one
    timeout: float = 5  # seconds
    task_id_column: str = ""
    unreachable: str = ""  # abort or ignore; empty: the action's default


@dataclass(frozen=True)
class Requeue:
    """The task to send for each job that was reset."""

    task: str
    args: Sequence[Any] = ("{id}",)
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str = ""
    countdown: Sequence[float] = ()  # seconds: the longest, or the shortest and the longest
    countdown_max: float = 900  # seconds
    revoke: bool = False


@dataclass(frozen=True)
class Database(Table):
    """One database: which jobs in it are stuck, and what to do with them. Where it is, each engine's own class says."""

    name: str = ""
    time_column: str = "updated_at"
    fallback_time_column: str = ""  # used if time_column is NULL
    heartbeat_column: str = ""  # a time that has to be as old, if there is any
    time_zone: str = "UTC"  # of timestamps without an offset
    threshold: Any = "30m"  # a duration
    threshold_column: str = ""  # empty: the status column
    thresholds: Mapping[Any, Any] = field(default_factory=dict)  # by the value of that column
    only: Mapping[str, Any] = field(default_factory=dict)  # the value or values that a job's columns have to have
    action: Action = RESET
    attempts_column: str = ""
    count_attempts: bool = True  # a reset adds one; False if the application itself counts
    max_attempts: int = 0  # after them, Action.in_the_end; 0: no limit
    jobs: Sequence[str] = ()  # empty: all that are old enough
    respect_age: bool = False  # whether the given jobs have to be old enough too
    celery: Celery | None = None
    requeue: Requeue | None = None
    busy_timeout: float = 30  # seconds
    time_limit: float = 600  # seconds
    memory_limit: int = 1024**3  # bytes
    record_directory: str = f"{STATE}/job_cleanup"

    _column_options = (
        *Table._column_options,
        *("time_column", "fallback_time_column", "heartbeat_column"),
        *("threshold_column", "attempts_column", "task_id_column", "only"),
    )

    def filled_by(self, action: Action) -> dict[str, str]:
        filled = super().filled_by(action)
        if action.counts_attempts and self.count_attempts and self.attempts_column:
            filled["attempts_column"] = self.attempts_column
        if action.requeues and self.requeue and self.task_id_column:
            filled["task_id_column"] = self.task_id_column
        return filled

    @property
    def task_id_column(self) -> str:
        return self.celery.task_id_column if self.celery else ""

    @property
    def conditions(self) -> Mapping[str, Sequence[Any]]:
        """The values that a job's columns may have, of which None is NULL. The status is not among them."""
        lists = {column: value if isinstance(value, (list, tuple)) else (value,) for column, value in self.only.items()}
        return {column: tuple(values) for column, values in lists.items()}

    @property
    def unreachable(self) -> str:
        """What to do if it is not known what the workers are doing: abort or ignore."""
        return (self.celery.unreachable if self.celery else "") or self.action.unreachable

    # For each engine's class: options of which one is set if an entry is for it, those that are required, and all that
    # say where the database is and how to log in.
    told_by: ClassVar[Sequence[str]] = ()
    required: ClassVar[Sequence[str]] = ()
    login_options: ClassVar[Sequence[str]] = ()

    @property
    def where(self) -> str:
        """Where the database is, for people."""
        raise NotImplementedError

    @property
    def login(self) -> dict[str, Any]:
        """The options that say where it is, without secrets: from them a record of a run finds it again."""
        defaults = {each.name: each.default for each in fields(self)}
        given = {option: getattr(self, option) for option in self.login_options}
        return {option: value for option, value in given.items() if value != defaults[option]}

    def login_errors(self) -> Iterator[str]:
        """What is wrong with these options, each a sentence."""
        yield from ()

    def __str__(self) -> str:
        return f"{self.name} ({self.where})"


def _parse_durations(value: object) -> tuple[float, ...]:
    return tuple(map(parse_duration, value if isinstance(value, (list, tuple)) else (value,)))


# How the values of these options are read: durations as seconds, sizes as bytes.
_QUANTITIES: Mapping[str, Callable[[object], Any]] = {
    **dict.fromkeys(("busy_timeout", "timeout", "time_limit", "countdown_max"), parse_duration),
    "countdown": _parse_durations,
    "memory_limit": parse_size,
}
LEAST_MEMORY = 64 * 1024**2  # bytes, in addition to what Python has when it starts
_LISTS = ("id_column", "foreign_key", "stuck_statuses", "jobs", "children", "workers", "args")
_OPTIONAL = ("celery", "requeue")  # may be null, as if they were not set


def read_options(options: Mapping[str, Any], kind: type[Database]) -> Database:
    """The Database of this kind that a dictionary of options describes.

    Null is NULL for the status that an action sets, and the same as not set for celery and requeue; elsewhere it is an
    error. Raises StuckJobsError for the first error found.
    """
    name = str(options.get("name") or "a database without a name")
    named = [option for option in ("status_column", "time_column") if option in options]
    given = _given(options, name, kind, "name", *kind.required, "table", *named)
    given["children"] = _children(given, options, name)
    given["outcomes"] = _read_outcomes(given, options)
    for option, part, required in (("celery", Celery, ("app", "directory", "python")), ("requeue", Requeue, ("task",))):
        if given.get(option):
            given[option] = part(**_given(given[option], f"{name}: {option}", part, *required))
        else:
            given.pop(option, None)
    if "action" in given:
        if given["action"] not in ACTIONS:
            raise StuckJobsError(f"{name}: action {given['action']!r} is not one of {', '.join(ACTIONS)}.")
        given["action"] = ACTIONS[given["action"]]
    database = kind(**given)
    for error in _errors(database):
        raise StuckJobsError(f"{name}: {error}")
    return database


def _children(given: Mapping[str, Any], parent: Mapping[str, Any], name: str) -> tuple[Table, ...]:
    """A child has the statuses and the message of its parent by default; its columns are its own."""
    inherited = {
        option: parent[option]
        for option in ("stuck_statuses", "error_message", *(action.to_option for action in that_set()))
        if option in parent
    }
    children = []
    for own in given.get("children", ()):
        options = {**inherited, **own}
        child = _given(options, f"{name}: children", Table, "table", "foreign_key")
        child["children"] = _children(child, options, name)
        child["outcomes"] = _read_outcomes(child, options)
        children.append(Table(**child))
    return tuple(children)


def _given(options: Mapping[str, Any], where: str, kind: type, *required: str) -> dict[str, Any]:
    """The options that are set, except those of actions, with lists as tuples. Raises StuckJobsError."""
    to_options = [action.to_option for action in that_set()]
    of_actions = to_options + [action.set_option for action in that_set()]
    known = [item.name for item in fields(kind) if item.name != "outcomes"]
    known += of_actions if issubclass(kind, Table) else []
    for option in options:
        if option not in known:
            raise StuckJobsError(f"{where}: there is no option `{option}`. {nearest(option, known)}")
    for option in required:
        if not options.get(option):
            raise StuckJobsError(f"{where}: `{option}` is required. Set it.")
    given = {}
    for option, value in options.items():
        if value is None and option not in to_options:
            if option not in _OPTIONAL:
                raise StuckJobsError(f"{where}: `{option}` is null. Set a value, or leave it out.")
        elif option in _LISTS:
            given[option] = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        elif option in _QUANTITIES:
            try:
                given[option] = _QUANTITIES[option](value)
            except ValueError as error:
                raise StuckJobsError(f"{where}: {option}: {error}.") from None
        elif option not in of_actions:
            given[option] = value
    return given


def _read_outcomes(given: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Outcome]:
    return {
        action.name: Outcome(options.get(action.to_option, action.status), options.get(action.set_option, {}))
        for action in that_set()
    }


def nearest(name: str, real: Iterable[str]) -> str:
    """A hint with the most similar of the real names or, if none is similar, with all of them."""
    real = sorted(real)
    close = difflib.get_close_matches(name, real, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(real)}."


def path_errors(database: Database, *names: str) -> Iterator[str]:
    """An error for each of these options that is set, but to no absolute path."""
    for option in names:
        path = getattr(database, option)
        if path and not Path(path).is_absolute():
            yield f"{option} {path!r} is not an absolute path. Start it with '/'."


def _errors(database: Database) -> Iterator[str]:
    if not re.fullmatch(r"[\w.-]+", database.name):
        yield f"name {database.name!r} is not valid. Use letters, digits, '.', '_' and '-'."
    yield from path_errors(database, "record_directory")
    yield from database.login_errors()
    if not all(str(job) for job in database.jobs):
        yield "`jobs` contains an empty id, which every id begins with. Remove it."
    for option, threshold in (
        ("threshold", database.threshold),
        *((f"thresholds: {value}", threshold) for value, threshold in database.thresholds.items()),
    ):
        try:
            parse_duration(threshold)
        except ValueError as error:
            yield f"{option}: {error}."
    if not database.time_limit:
        yield "time_limit is 0. Set a duration such as 10min."
    if database.memory_limit < LEAST_MEMORY:
        limit, least = map(format_size, (database.memory_limit, LEAST_MEMORY))
        yield f"memory_limit {limit} is too little. Set {least} or more."
    try:
        parse_zone(database.time_zone)
    except ValueError as error:
        yield f"time_zone {error}."
    if database.max_attempts and not database.attempts_column:
        yield "max_attempts needs attempts_column. Set it to the column that counts the attempts."
    if database.requeue:
        yield from _requeue_errors(database, database.requeue)
    if database.celery:
        yield from _celery_errors(database.celery)
    yield from _family_errors(database)
    for column, values in database.conditions.items():
        if not values:
            yield f"only: {column} has no values, so no job would count. Set one or several, or leave it out."
        yield from _values_errors(f"only: {column}", values)


def _celery_errors(celery: Celery) -> Iterator[str]:
    if celery.pool not in POOLS:
        yield f"celery: pool {celery.pool!r} is not one of {', '.join(POOLS)}."
    if celery.unreachable not in POLICIES:
        yield f"celery: unreachable {celery.unreachable!r} is not one of abort, ignore."


def _requeue_errors(database: Database, requeue: Requeue) -> Iterator[str]:
    if not database.celery:
        yield "requeue needs celery. Set it to the application that sends the task."
    countdown = ", ".join(map(span, requeue.countdown))
    if len(requeue.countdown) > 2:
        yield f"requeue: countdown has more than two durations: {countdown}. Set the longest, or the shortest and it."
    if list(requeue.countdown) != sorted(requeue.countdown):
        yield f"requeue: countdown begins with the longer duration: {countdown}. Set the shorter one first."
    if max(requeue.countdown, default=0) > requeue.countdown_max:
        most = span(requeue.countdown_max)
        yield f"requeue: countdown {countdown} is longer than countdown_max {most}. Shorten it, or raise countdown_max."
    if requeue.countdown_max > LONGEST_COUNTDOWN:
        most = span(requeue.countdown_max)
        yield (
            f"requeue: countdown_max {most} is too long, as brokers may deliver a task again that a worker holds for so"
            f" long. Set {span(LONGEST_COUNTDOWN)} or less."
        )
    if requeue.revoke and not database.task_id_column:
        yield "requeue: revoke needs celery's task_id_column. Set it to the column that holds the id of the job's task."


def _family_errors(database: Database) -> Iterator[str]:
    names = [table.table for table in database.family()]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield f"children: table {name} is used twice. Use each table once, and that of the jobs not as a child."
    for table in database.family():
        yield from _table_errors(table)
        yield from _value_errors(table)


def _table_errors(table: Table) -> Iterator[str]:
    if not table.stuck_statuses or None in table.stuck_statuses:
        yield f"stuck_statuses of {table.table} is empty or contains null. Set statuses such as processing."
    for action in that_set():
        status, columns = table.outcomes[action.name]
        for option, column in {"status_column": table.status_column, **table.filled_by(action)}.items():
            if column in columns:
                yield (
                    f"{action.set_option} of {table.table} sets {column}, which is its {option} and is set anyway."
                    f" Remove it from {action.set_option}."
                )
        if status in table.stuck_statuses:
            yield f"{action.to_option} of {table.table} is itself one of its stuck_statuses. Set another status."
    if table.error_column and not table.status_column:
        yield f"error_column of {table.table} needs its status_column. Set it, or leave error_column out."
    if table.error_mode not in ERROR_MODES:
        yield f"error_mode {table.error_mode!r} of {table.table} is not one of {', '.join(ERROR_MODES)}."
    try:
        for _text, name, form, _conversion in string.Formatter().parse(table.error_message):
            if name is not None and (name not in PLACEHOLDERS or form):
                yield f"error_message of {table.table}: {{{name}}} is not one of {{{'}, {'.join(PLACEHOLDERS)}}}."
    except ValueError as error:
        yield f"error_message of {table.table}: {error}. Write {{{{ and }}}} for braces."
    for child in table.children:
        if len(child.foreign_key) != len(table.id_column):
            wanted = ", ".join(table.id_column)
            yield f"foreign_key of {child.table} needs a column for each of {table.table}'s id_column: {wanted}."


def _value_errors(table: Table) -> Iterator[str]:
    values = [("stuck_statuses", status) for status in table.stuck_statuses]
    for action in that_set():
        status, columns = table.outcomes[action.name]
        values.append((action.to_option, status))
        values += [(f"{action.set_option}: {column}", value) for column, value in columns.items()]
    for option, value in values:
        yield from _values_errors(f"{option} of {table.table}", [value])


def _values_errors(option: str, values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if not isinstance(value, (str, int, float, bytes, type(None))):
            yield f"{option}: {value!r} is not a value for a column. Set a string, a number or null."
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            yield f"{option}: {value} does not fit into 64 bits. Set a smaller number."
