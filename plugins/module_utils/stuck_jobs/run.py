# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run: one database after another, each for itself. And the way back."""

# ruff: noqa: S608 -- every identifier in our SQL comes from a record of ours, and is quoted; values are bound.
from __future__ import annotations

import contextlib
import sqlite3
from itertools import chain
from pathlib import Path
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from . import record
from .access import as_owner, connect, owner_of, user_name
from .change import Change, Note, show
from .options import Database, StuckJobsError
from .plan import Plan
from .record import Record
from .report import SHOWN, Report
from .schema import marks, or_abort, q
from .times import Clock
from .workers import Workers
from .write import Pace, in_parts, savepoint, write


def clean_up(
    databases: Iterable[Database],
    dry_run: bool = False,
    ask_workers: bool = True,
    now: float | None = None,
    shown: int = SHOWN,
) -> list[Report]:
    """Deals with each database for itself: what is wrong with one stands in its report and stops no other.

    ask_workers: False in a dry run that is to look at the options and the databases alone.
    now: epoch seconds, from which ages are counted; by default the clock's.
    shown: so many rows of each kind a report names; all of them are counted.
    """
    return [_clean_up_one(database, Report(database, dry_run, shown), ask_workers, now) for database in databases]


def _clean_up_one(database: Database, report: Report, ask_workers: bool, now: float | None) -> Report:
    dry_run, clock = report.dry_run, Clock(now)
    try:
        report.owner = user_name(owner_of(database).st_uid)
        if not dry_run:
            record.make_directory(database)
        with contextlib.ExitStack() as stack:
            workers = _start_workers(database, stack) if ask_workers else None
            stack.enter_context(as_owner(database))
            if not dry_run:
                stack.enter_context(record.only_one_run(database))
            living = _ask(database, workers, report)
            connection = stack.enter_context(connect(database, write=not dry_run))
            plan = Plan(connection, database, clock, living, report.skip)
            if dry_run:
                for page in plan.pages():
                    report.add(page)
            else:
                _Run(connection, plan, workers, report).go()
            report.unknown = plan.unknown
    except StuckJobsError as error:
        report.error = str(error)
    except Exception as error:  # whatever it is, it must not keep us from the other databases
        report.error = f"{database}: {error if isinstance(error, OSError) else repr(error)}."
    return report


def _start_workers(database: Database, stack: contextlib.ExitStack) -> Workers | None:
    if not database.celery:
        return None
    workers = Workers(database, database.celery)
    stack.callback(workers.stop)
    workers.start()
    return workers


def _ask(database: Database, workers: Workers | None, report: Report) -> Mapping[str, str]:
    """Which jobs are alive, by task id and by argument."""
    if not workers:
        return {}
    why_not = workers.ready()
    living: dict[str, str] = {}
    if not why_not:
        living, why_not = workers.busy()
    if not why_not:
        return living
    if database.unreachable == "abort":
        raise StuckJobsError(
            f"{database}: the workers can't be asked what they are doing: {why_not}. Start them, or set celery's"
            " unreachable to ignore if you know that none is at work. Nothing was changed."
        )
    report.remarks.append(f"the workers were not asked ({why_not})")
    return {}


class _Run:
    """The writing part of a run."""

    def __init__(self, connection: sqlite3.Connection, plan: Plan, workers: Workers | None, report: Report) -> None:
        self.connection, self.plan, self.workers, self.report = connection, plan, workers, report
        self.database = plan.database
        self.pace, self.record = Pace(connection, plan.rows.page_size), Record(plan.database)

    def go(self) -> None:
        try:
            self._finish_what_was_cut_short()
            for batch in self.pace.batches(chain.from_iterable(self.plan.pages()), _rows_of):
                self._write(batch)
        finally:
            self.report.record = self.record.keep()
            self.report.locked, self.report.longest_lock = self.pace.locked, self.pace.longest

    def _write(self, batch: Sequence[Change]) -> None:
        self.record.intend(batch)
        done: list[Change] = []
        refused: dict[tuple[Any, ...], str] = {}
        try:
            for part, result in in_parts(batch, self._attempt):
                if isinstance(result, str):
                    refused[part[0].place] = result
                else:
                    done += result[0]
                    refused.update(result[1])
        except BaseException:
            if not self.pace.in_doubt:
                self.record.done(_left(batch, done))
            self.report.add(done)
            raise
        left = _left(batch, done)
        self.record.done(left)
        for change in (batch[number] for number in left):
            self._leave(change, refused.get(change.place))
        if self.database.requeue:
            self._send(done)
        else:
            self.report.add(done)

    def _attempt(self, batch: Sequence[Change]) -> tuple[list[Change], dict[tuple[Any, ...], str]]:
        with self.pace.transaction(sum(map(_rows_of, batch))):
            result = write(self.connection, self.plan, batch)
        self.report.batches += 1
        return result

    def _leave(self, change: Change, refused: str | None) -> None:
        if refused:
            self.report.skip(Note(change.shape.table.table, change.id, f"SQLite refuses it: {refused}"))
        else:
            self.report.leave(Note(change.shape.table.table, change.id, f"it is no longer as it was: {change.why}"))

    def _send(self, done: Sequence[Change]) -> None:
        """A task for each job that was reset, once its row is committed. Those that can't be sent are stuck again."""
        reset = [change for change in done if change.shape.action == "reset"]
        sent, why_not = _send(self.database, self.workers, [change.key for change in reset])
        self.report.sent += sent
        if not why_not:
            self.record.sent()
            self.report.add(done)
            return
        unsent = reset[sent:]
        try:
            with self.pace.transaction(sum(map(_rows_of, unsent))):
                back = [[put_back(self.connection, record.as_row(row)) for row in change.flat()] for change in unsent]
        except sqlite3.Error as error:
            self.report.add(done)
            told = f"{self.database}: tasks can't be sent: {why_not}. Nor can their rows be put back: {error}."
            raise StuckJobsError(f"{told} The next run will send the tasks.") from error
        are_back = {change.place for change, rows in zip(unsent, back) if rows[0]}
        self.report.add([change for change in done if change.place not in are_back])
        rows = list(chain.from_iterable(back))
        told = f"{self.database}: tasks can't be sent: {why_not}. {sum(rows)} rows are as they were for the next run"
        if not all(rows):  # such as by a trigger of the database's
            raise StuckJobsError(f"{told}; it will send the tasks of the other {rows.count(False)}.")
        self.record.sent()
        raise StuckJobsError(f"{told}.")

    def _finish_what_was_cut_short(self) -> None:
        """A run that crashed between commit and sending left jobs that nobody would ever do."""
        for part in record.cut_short(self.database):
            if self.database.requeue:
                for batch in record.read(part)[1]:
                    jobs = [job[0] for job in batch.jobs if not batch.is_sent and job[0].action == "reset"]
                    waiting = [job for job in jobs if _is(self.connection, job, job.after)]
                    sent, why_not = _send(self.database, self.workers, [tuple(job.key.values()) for job in waiting])
                    self.report.sent += sent
                    if why_not:
                        raise StuckJobsError(f"{self.database}: the tasks of {part} can't be sent: {why_not}.")
            record.finish(part)


def _rows_of(change: Change) -> int:
    return len(change.flat()) if change.children else 1


def _left(batch: Sequence[Change], done: Sequence[Change]) -> list[int]:
    """The numbers of those that are not done."""
    if len(done) == len(batch):
        return []
    places = {change.place for change in done}
    return [number for number, change in enumerate(batch) if change.place not in places]


def _send(database: Database, workers: Workers | None, keys: Sequence[tuple[Any, ...]]) -> tuple[int, str]:
    """How many tasks were sent, and why no more."""
    requeue = database.requeue
    if not keys or not requeue or not workers:
        return 0, ""
    tasks = []
    for key in keys:
        task = {
            "name": requeue.task,
            "args": _filled(list(requeue.args), key),
            "kwargs": _filled(dict(requeue.kwargs), key),
        }
        tasks.append({**task, "queue": requeue.queue} if requeue.queue else task)
    return workers.send(tasks)


def _filled(value: Any, key: tuple[Any, ...]) -> Any:
    """{id} alone is the id as the database has it; within a text it is written out."""
    if isinstance(value, dict):
        return {name: _filled(inner, key) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, key) for inner in value]
    if value == "{id}" and len(key) == 1 and not isinstance(key[0], bytes):
        return key[0]
    return value.replace("{id}", show(key)) if isinstance(value, str) else value


class Undone(NamedTuple):
    """What an undo put back, or would: rows, jobs left alone, and that in a sentence."""

    back: int
    left: int
    sentence: str


def undo(path: str, dry_run: bool = False) -> Undone:
    """Puts back the jobs that a run changed, each with its family, where all of it still is as the run left it."""
    head, batches = record.read(Path(path), newest_first=True)
    database = Database(table="", name=head["name"], path=head["database"])
    record.check_author(path, head, database)
    put, back, left = _can_be_put_back if dry_run else _put_back_whole, 0, 0
    with as_owner(database), connect(database, write=not dry_run) as connection:
        pace = Pace(connection)

        def attempt(jobs: Sequence[Sequence[record.Row]]) -> list[int]:
            with contextlib.nullcontext() if dry_run else pace.transaction(sum(map(len, jobs))):
                return [len(job) for job in jobs if put(connection, job)]

        for batch in batches:
            for jobs in pace.batches(batch.jobs, len):
                for part, result in in_parts(jobs, attempt):
                    done = [] if isinstance(result, str) else result
                    back += sum(done)
                    left += len(part) - len(done)
    counted = "1 row" if back == 1 else f"{back} rows"
    verb = "would be" if dry_run else "is" if back == 1 else "are"
    told = f"{database.name}: {counted} {verb} as before in {database.path}"
    jobs = "1 job" if left == 1 else f"{left} jobs"
    return Undone(back, left, f"{told}; {jobs} changed since and left alone." if left else f"{told}.")


class _ChangedSince(Exception):
    """A row is no longer as the run left it."""


def _put_back_whole(connection: sqlite3.Connection, job: Sequence[record.Row]) -> bool:
    try:
        with savepoint(connection):
            for row in job:
                if not put_back(connection, row):
                    raise _ChangedSince
    except (_ChangedSince, sqlite3.IntegrityError):  # a new row may hold what must be unique
        if not connection.in_transaction:  # RAISE(ROLLBACK) of a trigger took back the others too
            raise
        return False
    return True


def put_back(connection: sqlite3.Connection, row: record.Row) -> bool:
    """Makes one row what it was before; False where it is no longer as we left it."""
    table, abort = q(row.table), or_abort(connection, row.table)
    if row.action == "delete":
        if _is(connection, row, {}):
            return False
        columns = ", ".join(map(q, row.before))
        values = list(row.before.values())
        connection.execute(f"INSERT {abort} INTO {table} ({columns}) VALUES ({marks(values)})", values)
        return True
    settings = ", ".join(f"{q(column)} = ?" for column in row.after)
    where, values = _where({**row.key, **row.after})
    sql = f"UPDATE {abort} {table} SET {settings} WHERE {where}"
    return connection.execute(sql, [*row.before.values(), *values]).rowcount > 0


def _can_be_put_back(connection: sqlite3.Connection, job: Sequence[record.Row]) -> bool:
    return all(
        not _is(connection, row, {}) if row.action == "delete" else _is(connection, row, row.after) for row in job
    )


def _is(connection: sqlite3.Connection, row: record.Row, like: Mapping[str, Any]) -> bool:
    """Is there a row of this key, like that?"""
    where, values = _where({**row.key, **like})
    return connection.execute(f"SELECT 1 FROM {q(row.table)} WHERE {where} LIMIT 1", values).fetchone() is not None


def _where(like: Mapping[str, Any]) -> tuple[str, list[Any]]:
    return " AND ".join(f"{q(column)} IS ?" for column in like), list(like.values())
