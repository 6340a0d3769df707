# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the jobs that a crash left stuck in an application's SQLite database, and resets, fails or deletes them.

Plans first, as data, and then acts on that very plan. This one file needs nothing but Python's standard library:
the module sqlite_stuck_jobs imports it, and the role job_cleanup copies it beside cleanup_stuck_jobs.py.
A copy in /usr/local/lib/evenkeel is: Managed by evenkeel.celery.
"""

# ruff: noqa: S608 -- every identifier in our SQL was looked up in the database first and is quoted; values are bound.
from __future__ import annotations

import base64
import contextlib
import difflib
import json
import os
import pwd
import re
import sqlite3
import tempfile
import time
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, Iterable, Iterator, Sequence
from urllib.parse import quote

ACTIONS = ("reset", "fail", "delete")
_DONE = {"reset": "reset to {}", "fail": "set to {}", "delete": "deleted"}


class StuckJobsError(Exception):
    """What is wrong and what to do next, in words for the operator."""


# What to look for -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A table with a status column: of the jobs themselves, or (with a foreign key) of what belongs to them."""

    table: str
    id_column: str = "id"
    status_column: str = "status"  # a child may have none: then only a delete touches it
    stuck_statuses: Sequence[Any] = ("processing",)
    reset_to: Any = "pending"
    fail_to: Any = "failed"
    error_column: str = ""
    error_message: str = "Stuck, and set to failed by job_cleanup"
    foreign_key: str = ""

    @property
    def columns(self) -> dict[str, str]:
        """The options that name a column, with the column."""
        names = ("id_column", "status_column", "error_column", "foreign_key", "time_column")
        return {name: getattr(self, name) for name in names if getattr(self, name, "")}


@dataclass(frozen=True)
class Database(Table):
    """One database: where it is, what is stuck in it, and what is to become of that."""

    name: str = ""
    path: str = ""
    time_column: str = "updated_at"
    threshold: Any = "30m"
    action: str = "reset"
    jobs: Sequence[str] = ()  # none: all that are old enough
    respect_age: bool = False  # of the given jobs, too
    children: Sequence[Table] = ()
    busy_timeout: float = 30
    backup_directory: str = "/var/lib/evenkeel/job_cleanup"

    def __str__(self) -> str:
        return f"{self.name} ({self.path})"


# A child speaks of the same states as its parent; its columns are its own.
_INHERITED = ("stuck_statuses", "reset_to", "fail_to", "error_message")


def read_options(options: dict[str, Any]) -> Database:
    """The Database that a dictionary of options describes; what is None counts as not said."""
    said = _said(options)
    name = str(said.get("name") or "a database without a name")
    _refuse_unknown(said, Database, name)
    for required in ("name", "path", "table"):
        if not said.get(required):
            raise StuckJobsError(f"{name}: `{required}` is missing.")
    inherited = {key: said[key] for key in _INHERITED if key in said}
    said["children"] = tuple(_read_child({**inherited, **_said(child)}, name) for child in said.get("children", ()))
    database = Database(**said)
    if not re.fullmatch(r"[\w.-]+", database.name):
        raise StuckJobsError(f"{name}: a name is made of letters, digits, '.', '_' and '-'.")
    if not Path(database.path).is_absolute():
        raise StuckJobsError(f"{name}: path {database.path!r} is not absolute. Write it from / on.")
    if database.action not in ACTIONS:
        raise StuckJobsError(f"{name}: action {database.action!r} is not one of {', '.join(ACTIONS)}.")
    if not all(str(job) for job in database.jobs):
        raise StuckJobsError(f"{name}: `jobs` holds an empty id, which every job begins with.")
    try:
        parse_threshold(database.threshold)
    except ValueError as error:
        raise StuckJobsError(f"{name}: threshold {error}.") from None
    for table in (database, *database.children):
        if not table.stuck_statuses:
            raise StuckJobsError(f"{name}: stuck_statuses of {table.table} is empty. Name one, such as processing.")
        for option in ("reset_to", "fail_to"):
            if getattr(table, option) in table.stuck_statuses:
                raise StuckJobsError(f"{name}: {option} of {table.table} is itself one of its stuck_statuses.")
    return database


def _read_child(said: dict[str, Any], name: str) -> Table:
    _refuse_unknown(said, Table, f"{name}: children")
    for required in ("table", "foreign_key"):
        if not said.get(required):
            raise StuckJobsError(f"{name}: children: `{required}` is missing.")
    return Table(**said)


def _said(options: dict[str, Any]) -> dict[str, Any]:
    said = {key: value for key, value in options.items() if value is not None}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}


def _refuse_unknown(said: dict[str, Any], wanted: type, where: str) -> None:
    known = [item.name for item in fields(wanted)]
    for key in said:
        if key not in known:
            raise StuckJobsError(f"{where}: there is no option `{key}`. {_nearest(key, known)}")


def _nearest(name: str, real: Iterable[str]) -> str:
    real = sorted(real)
    close = difflib.get_close_matches(name, real, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(real)}."


# Time -----------------------------------------------------------------------------------------------------------

_THRESHOLD = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w|)")
_UNIT = {"s": 1, "": 60, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_EPOCH_TEXT = re.compile(r"\d{10}(\.\d+)?|\d{13}|\d{16}")
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)([.,]\d+)?)?\s*(?:(Z)|([+-])(\d\d):?(\d\d)?)?", re.IGNORECASE
)


def parse_threshold(text: Any) -> float:
    """Seconds of 30m, 2h, 1d, or of a plain number of minutes."""
    found = _THRESHOLD.fullmatch(str(text).strip())
    if not found:
        raise ValueError(f"{text!r} is not an age: write 30m, 2h, 1d or a number of minutes")
    return float(found.group(1)) * _UNIT[found.group(2)]


def parse_time(value: Any) -> float | None:
    """Epoch seconds of a timestamp as applications store them, or None where we can't be sure what it says.

    ISO 8601 with T or space, fraction, Z or offset (without one it is UTC); epochs in s, ms or µs, told apart by
    their 10, 13 or 16 digits: other numbers, such as 202601181030, may be dates in disguise and are nobody's age.
    """
    if isinstance(value, str):
        text = value.strip()
        found = _ISO.fullmatch(text)
        if found:
            return _iso_seconds(*found.groups())
        value = float(text) if _EPOCH_TEXT.fullmatch(text) else None
    if isinstance(value, (int, float)):
        for scale in (1, 1e3, 1e6):
            if 1e9 <= value / scale < 1e10:
                return value / scale
    return None


def _iso_seconds(*parts: str | None) -> float | None:
    *when, fraction, _zulu, sign, hours, minutes = parts
    try:
        moment = datetime(*(int(part or 0) for part in when), tzinfo=timezone.utc)
    except ValueError:
        return None
    offset = int(hours or 0) * 3600 + int(minutes or 0) * 60
    return moment.timestamp() + float("0." + (fraction or ".0")[1:]) - (-offset if sign == "-" else offset)


def _span(seconds: float) -> str:
    """3 d 4 h, 2 h 5 min, 31 min, 12 s: as exact as an operator needs it."""
    days, hours, minutes = int(seconds // 86400), int(seconds // 3600 % 24), int(seconds // 60 % 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"


# The plan and the report ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """One row that is to change: from which status to which (None: deleted), why, and what goes with it."""

    table: str
    id: Any
    action: str
    before: Any
    after: Any
    why: str
    time: Any = None  # as read: the row is only touched while it still says so
    children: Sequence[Change] = ()

    def flat(self) -> Iterator[Change]:
        yield self
        for child in self.children:
            yield from child.flat()

    def as_data(self) -> dict[str, Any]:
        return {
            "table": self.table, "id": show(self.id), "action": self.action,
            "from": _plain(self.before), "to": _plain(self.after), "why": self.why,
        }  # fmt: skip


@dataclass(frozen=True)
class Note:
    """A row that was left alone, and why."""

    table: str
    id: str
    why: str


@dataclass
class Report:
    """What is to be done in one database (dry run), or what was done."""

    database: Database
    dry_run: bool
    changes: list[Change] = field(default_factory=list)
    skipped: list[Note] = field(default_factory=list)
    moved_on: list[Note] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    owner: str = ""
    backup: str = ""
    error: str = ""

    @property
    def rows(self) -> list[Change]:
        return [row for change in self.changes for row in change.flat()]

    @property
    def counts(self) -> dict[str, int]:
        tables = [row.table for row in self.rows]
        return {table: tables.count(table) for table in dict.fromkeys(tables)}

    def sentence(self) -> str:
        """One sentence that says it all."""
        if self.error:
            return self.error
        database = self.database
        target = {"reset": database.reset_to, "fail": database.fail_to}.get(database.action)
        counted = " and ".join(f"{count} in {table}" for table, count in self.counts.items())
        done = _DONE[database.action].format(target)
        said = [f"{counted} {'would be ' if self.dry_run else ''}{done}" if counted else "nothing is stuck"]
        if self.moved_on:
            said.append(f"{len(self.moved_on)} moved on in the meantime and left alone")
        if self.skipped:
            said.append(f"{len(self.skipped)} skipped")
        if self.unknown:
            said.append(f"no job begins with {', '.join(self.unknown)}")
        if self.backup:
            said.append(f"the deleted rows are kept in {self.backup}")
        return f"{database.name}: {'; '.join(said)}."

    def as_data(self) -> dict[str, Any]:
        return {
            "name": self.database.name, "path": self.database.path, "owner": self.owner,
            "action": self.database.action, "dry_run": self.dry_run, "counts": self.counts,
            "changes": [row.as_data() for row in self.rows], "skipped": [asdict(note) for note in self.skipped],
            "moved_on": [asdict(note) for note in self.moved_on], "unknown": self.unknown,
            "backup": self.backup, "error": self.error, "summary": self.sentence(),
        }  # fmt: skip


def show(value: Any) -> str:
    """An id on one printable line; a binary one (a UUID's 16 bytes) in hex, as it can be given back to us."""
    text = value.hex() if isinstance(value, bytes) else str(value)
    return "".join(char if char.isprintable() else "?" for char in text)


def _plain(value: Any) -> Any:
    return show(value) if isinstance(value, bytes) else value


# The run --------------------------------------------------------------------------------------------------------


def clean_up(databases: Iterable[Database], dry_run: bool = False, now: float | None = None) -> list[Report]:
    """Deals with each database for itself: what is wrong with one stands in its report and stops no other."""
    return [_clean_up_one(database, dry_run, time.time() if now is None else now) for database in databases]


def _clean_up_one(database: Database, dry_run: bool, now: float) -> Report:
    report = Report(database, dry_run)
    try:
        report.owner = user_name(owner_of(database).st_uid)
        if database.action == "delete" and not dry_run:
            make_backup_directory(database)
        with as_owner(database), connect(database, write=not dry_run) as connection:
            check_schema(connection, database)
            plan(connection, report, now)
            if report.changes and not dry_run:
                act(connection, report)
    except StuckJobsError as error:
        return Report(database, dry_run, error=str(error))
    except OSError as error:
        return Report(database, dry_run, error=f"{database}: {error}. Nothing was changed.")
    return report


@contextlib.contextmanager
def as_owner(database: Database) -> Iterator[None]:
    """As the database's owner: what SQLite creates beside the file (-wal, -shm, -journal) must stay the application's.

    Root lends itself the owner's identity; anybody else than the owner is sent back.
    """
    owner, me = owner_of(database), os.geteuid()
    if me not in (0, owner.st_uid):
        name = user_name(owner.st_uid)
        raise StuckJobsError(f"{database}: belongs to {name}. Run this as {name} or as root.")
    if me == owner.st_uid:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([owner.st_gid])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(me)
        os.setegid(group)
        os.setgroups(groups)


def owner_of(database: Database) -> os.stat_result:
    path = Path(database.path)
    try:
        if path.is_file():
            return path.stat()
    except PermissionError:
        raise StuckJobsError(f"{database}: can't be reached. Run this as the database's owner or as root.") from None
    raise StuckJobsError(f"{database}: there is no such file. Correct `path`, or start the application first.")


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@contextlib.contextmanager
def connect(database: Database, write: bool) -> Iterator[sqlite3.Connection]:
    """Opens what is there, never creates it, and puts what SQLite has to say into words."""
    connection = None
    try:
        connection = sqlite3.connect(
            f"file:{quote(database.path)}?mode={'rw' if write or _is_idle_wal(database) else 'ro'}",
            uri=True,
            timeout=database.busy_timeout,
            isolation_level=None,
        )
        connection.execute(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
        yield connection
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise StuckJobsError(
                f"{database}: another process held the database for more than {database.busy_timeout:g} s. "
                "Nothing was changed; run this again, or raise busy_timeout."
            ) from error
        raise StuckJobsError(f"{database}: SQLite says: {error}. Nothing was changed.") from error
    finally:
        if connection:
            connection.close()


def _is_idle_wal(database: Database) -> bool:
    """A WAL database that nobody has open: a read-only connection would leave an empty -wal and -shm behind."""
    with Path(database.path).open("rb") as file:
        header = file.read(20)
    return header[18:] == b"\2\2" and not Path(f"{database.path}-wal").exists()


# The schema -----------------------------------------------------------------------------------------------------


def check_schema(connection: sqlite3.Connection, database: Database) -> None:
    """Every named table and column is there, and an id is one row; otherwise says what there is instead."""
    real = dict(connection.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"))
    wrong = []
    for table in (database, *database.children):
        if table.table not in real:
            wrong.append(f"there is no table {table.table!r}. {_nearest(table.table, real)}")
        elif real[table.table] == "view":
            wrong.append(f"{table.table} is a view. Name the table behind it.")
        else:
            wrong += _wrong_columns(connection, table)
    if wrong:
        raise StuckJobsError(f"{database}: {' '.join(wrong)}")


def _wrong_columns(connection: sqlite3.Connection, table: Table) -> Iterator[str]:
    real = [name for (name,) in connection.execute("SELECT name FROM pragma_table_xinfo(?)", (table.table,))]
    for option, column in table.columns.items():
        if column not in real:
            yield f"{option}: table {table.table} has no column {column!r}. {_nearest(column, real)}"
    unique = _unique_columns(connection, table.table)
    if table.id_column in real and table.id_column not in unique:
        yield f"id_column: {table.table}.{table.id_column} is not unique. Unique are: {', '.join(unique) or 'none'}."


def _unique_columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """Columns that name one row by themselves: the primary key, or one with a unique index of its own."""
    keys = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk", (table,))]
    indexed = connection.execute(
        'SELECT min(i.name) FROM pragma_index_list(?) AS l, pragma_index_info(l.name) AS i WHERE l."unique"'
        " AND NOT l.partial GROUP BY l.name HAVING count(*) = 1",
        (table,),
    )
    return sorted({*(keys if len(keys) == 1 else ()), *(name for (name,) in indexed if name)})


def q(identifier: str) -> str:
    """An identifier, quoted for SQL. Check first that it exists: SQLite takes an unknown one for a string."""
    return '"' + identifier.replace('"', '""') + '"'


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


# The plan -------------------------------------------------------------------------------------------------------


def plan(connection: sqlite3.Connection, report: Report, now: float) -> None:
    """Fills the report with what is to be done; reads only."""
    database = report.database
    rows = _given(connection, report) if database.jobs else _stuck(connection, database)
    referrers = _unnamed_referrers(connection, database)
    threshold = parse_threshold(database.threshold)
    by_age = database.respect_age or not database.jobs
    for key, status, stamp in rows:
        since = parse_time(stamp)
        age = None if since is None or since > now else now - since
        if by_age and age is not None and age < threshold:
            if database.jobs:
                report.skipped.append(Note(database.table, show(key), f"{status} for only {_span(age)}"))
            continue
        doubt = _doubt(database, stamp, since) if by_age and age is None else ""
        doubt = "it has no id" if key is None else doubt or _referred(connection, referrers, key)
        if doubt:
            report.skipped.append(Note(database.table, show(key), doubt))
            continue
        why = f"{status}, and asked for by id" if age is None else f"{status} for {_span(age)}"
        after, children = _target(database, database.action), _children(connection, database, key)
        report.changes.append(Change(database.table, key, database.action, status, after, why, stamp, children))


def _doubt(database: Database, stamp: Any, since: float | None) -> str:
    value = "NULL" if stamp is None else repr(stamp)
    return f"{database.time_column} is {value}, which is {'no time that we know' if since is None else 'in the future'}"


def _stuck(connection: sqlite3.Connection, database: Database) -> Iterable[tuple[Any, ...]]:
    columns = ", ".join(map(q, (database.id_column, database.status_column, database.time_column)))
    where = f"{q(database.status_column)} IN ({_marks(database.stuck_statuses)})"
    sql = f"SELECT {columns} FROM {q(database.table)} WHERE {where}"
    return connection.execute(sql, database.stuck_statuses).fetchall()


def _given(connection: sqlite3.Connection, report: Report) -> Iterable[tuple[Any, ...]]:
    """The rows of the given ids; those that aren't stuck, or aren't there, go into the report."""
    found = {}
    for job in report.database.jobs:
        row = _find(connection, report.database, str(job))
        if row is None:
            report.unknown.append(str(job))
        else:
            found[row[0]] = row
    for key, status, stamp, stuck in found.values():
        if stuck:
            yield key, status, stamp
        else:
            report.skipped.append(Note(report.database.table, show(key), f"it is {status}, which is not stuck"))


def _find(connection: sqlite3.Connection, database: Database, job: str) -> tuple[Any, ...] | None:
    """The row of an id or of an unambiguous beginning of one; a number is no beginning of another number."""
    key, status = q(database.id_column), q(database.status_column)
    text = f"CASE typeof({key}) WHEN 'blob' THEN lower(hex({key})) ELSE CAST({key} AS TEXT) END"
    select = (
        f"SELECT {key}, {status}, {q(database.time_column)}, {status} IN ({_marks(database.stuck_statuses)})"
        f" FROM {q(database.table)} WHERE "
    )
    for where, values in (
        (f"{text} = ?", (job,)),
        (f"typeof({key}) IN ('text', 'blob') AND substr({text}, 1, ?) = ?", (len(job), job)),
    ):
        rows = connection.execute(f"{select}{where} LIMIT 6", (*database.stuck_statuses, *values)).fetchall()
        if len(rows) > 1:
            names = ", ".join(show(row[0]) for row in rows[:5]) + (", …" if len(rows) > 5 else "")
            raise StuckJobsError(f"{database}: {job!r} is the beginning of several ids: {names}. Write more of it.")
        if rows:
            return rows[0]
    return None


def _target(table: Table, action: str) -> Any:
    return {"reset": table.reset_to, "fail": table.fail_to, "delete": None}[action]


def _children(connection: sqlite3.Connection, database: Database, parent: Any) -> tuple[Change, ...]:
    """What goes with its parent: all of it into a delete, else only what is stuck itself (a finished link stays so)."""
    changes = []
    for child in database.children:
        status = q(child.status_column) if child.status_column else "NULL"
        where, values = f"{q(child.foreign_key)} = ?", [parent]
        if database.action != "delete":
            where += f" AND {status} IN ({_marks(child.stuck_statuses)})"
            values += child.stuck_statuses
        rows = connection.execute(f"SELECT {q(child.id_column)}, {status} FROM {q(child.table)} WHERE {where}", values)
        after, why = _target(child, database.action), f"belongs to {database.table} {show(parent)}"
        changes += [Change(child.table, key, database.action, status, after, why) for key, status in rows.fetchall()]
    return tuple(changes)


def _unnamed_referrers(connection: sqlite3.Connection, database: Database) -> list[tuple[str, str]]:
    """Tables and columns that refer to the jobs without being named as children: a delete would leave orphans there."""
    if database.action != "delete":
        return []
    referrers = connection.execute(
        'SELECT m.name, f."from" FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f'
        ' WHERE m.type = \'table\' AND lower(f."table") = lower(?) AND coalesce(f."to", ?) = ?',
        (database.table, database.id_column, database.id_column),
    )
    named = {child.table for child in database.children}
    return [(table, column) for table, column in referrers if table not in named]


def _referred(connection: sqlite3.Connection, referrers: list[tuple[str, str]], key: Any) -> str:
    for table, column in referrers:
        if connection.execute(f"SELECT 1 FROM {q(table)} WHERE {q(column)} = ? LIMIT 1", (key,)).fetchone():
            return f"rows of {table} refer to it by {column}: name that table among the children"
    return ""


# The act --------------------------------------------------------------------------------------------------------


def act(connection: sqlite3.Connection, report: Report) -> None:
    """Does what is planned, in one transaction, to the rows that still are as the plan read them."""
    database, planned, report.changes = report.database, report.changes, []
    backup = Backup(database)
    try:
        connection.execute("BEGIN IMMEDIATE")
        referrers = _unnamed_referrers(connection, database)
        for change in planned:
            moved_on = _referred(connection, referrers, change.id)
            done = None if moved_on else _apply(connection, database, change, backup)
            if done:
                report.changes.append(done)
            else:
                why = moved_on or f"it is no longer {change.before} since {change.time}"
                report.moved_on.append(Note(change.table, show(change.id), why))
        report.backup = backup.keep()
        connection.execute("COMMIT")
    except BaseException:
        # The rows are still in the database: a backup of them would only mislead.
        backup.drop()
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _apply(connection: sqlite3.Connection, database: Database, change: Change, backup: Backup) -> Change | None:
    """Applies a change and gives back what was really done, or None where the row has moved on."""
    # Read again: within the transaction nobody can add a child behind our back.
    children = _children(connection, database, change.id)
    fence = {database.id_column: change.id, database.status_column: change.before, database.time_column: change.time}
    if not _write(connection, database, change, fence, backup):
        return None
    tables = {child.table: child for child in database.children}
    written = []
    for row in children:
        child = tables[row.table]
        fence = {child.id_column: row.id, **({child.status_column: row.before} if child.status_column else {})}
        if _write(connection, child, row, fence, backup):
            written.append(row)
    return replace(change, children=tuple(written))


def _write(connection: sqlite3.Connection, table: Table, change: Change, fence: dict[str, Any], backup: Backup) -> bool:
    """Writes the row that is still as the fence says; False where there is none any more."""
    where, values = " AND ".join(f"{q(column)} IS ?" for column in fence), list(fence.values())
    if change.action == "delete":
        backup.add(connection, table, where, values)
        return connection.execute(f"DELETE FROM {q(table.table)} WHERE {where}", values).rowcount > 0
    new = {table.status_column: change.after}
    if change.action == "fail" and table.error_column:
        new[table.error_column] = table.error_message
    settings = ", ".join(f"{q(column)} = ?" for column in new)
    sql = f"UPDATE {q(table.table)} SET {settings} WHERE {where}"
    return connection.execute(sql, [*new.values(), *values]).rowcount > 0


# The way back of a delete ---------------------------------------------------------------------------------------


def backup_directory(database: Database) -> Path:
    """Where the rows go that a delete takes out: one directory for each owner of a database, closed to all others."""
    return Path(database.backup_directory) / user_name(owner_of(database).st_uid)


def make_backup_directory(database: Database) -> None:
    """Makes that directory; as root, for the database's owner, who can't make it under /var/lib."""
    directory, owner = backup_directory(database), owner_of(database)
    if directory.is_dir():
        return
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)
    except PermissionError:
        raise StuckJobsError(
            f"{database}: {directory}, where deleted rows are kept, can't be made. Run this once as root,"
            " or set backup_directory to one where you may write."
        ) from None
    if os.geteuid() == 0:
        os.chown(directory, owner.st_uid, owner.st_gid)


class Backup:
    """The rows that a delete takes out, as JSON lines that only the owner can read and `restore` puts back."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.path = ""
        self._file: IO[str] | None = None

    def add(self, connection: sqlite3.Connection, table: Table, where: str, values: list[Any]) -> None:
        # table_info leaves generated columns out, and they can't be put back either.
        columns = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table.table,))]
        sql = f"SELECT {', '.join(map(q, columns))} FROM {q(table.table)} WHERE {where}"
        for row in connection.execute(sql, values):
            self._line({"table": table.table, "row": {name: _packed(value) for name, value in zip(columns, row)}})

    def _line(self, data: dict[str, Any]) -> None:
        if self._file is None:
            stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
            prefix, directory = f"{self.database.name}-{stamp}-", backup_directory(self.database)
            number, self.path = tempfile.mkstemp(".jsonl", prefix, directory)
            self._file = os.fdopen(number, "w", encoding="utf-8")
            self._line({"deleted_from": self.database.path, "name": self.database.name, "at": stamp})
        self._file.write(json.dumps(data) + "\n")

    def keep(self) -> str:
        """The file's path, once it is safe on the disk; empty where nothing was deleted."""
        if self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self.path

    def drop(self) -> None:
        if self._file:
            self._file.close()
            Path(self.path).unlink()


def restore(path: str, dry_run: bool = False) -> str:
    """Puts the rows of a backup back, all or none, and says so in a sentence."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            header, *rows = map(json.loads, file)
        database = Database(table="", name=header["name"], path=header["deleted_from"])
    except (OSError, ValueError, KeyError) as error:
        raise StuckJobsError(f"{path} is no file of deleted rows of ours, or can't be read: {error}.") from error
    if not dry_run:
        with as_owner(database), connect(database, write=True) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for line in rows:
                row = line["row"]
                sql = f"INSERT INTO {q(line['table'])} ({', '.join(map(q, row))}) VALUES ({_marks(tuple(row))})"
                connection.execute(sql, [_unpacked(value) for value in row.values()])
            connection.execute("COMMIT")
    return f"{database.name}: {len(rows)} rows {'would be' if dry_run else 'are'} back in {database.path}."


def _packed(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _unpacked(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
