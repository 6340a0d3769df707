# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of a run on the databases of one owner, by a process that is that owner: on one after another."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

from .._common.child import Send
from .._common.quantities import format_size
from . import record
from .applications import Application, Applications
from .batches import Ahead, Batches
from .celery_client import ActiveTasks
from .change import Change, Note, Recorded, size_of
from .engines.base import Engine, Refused, Session
from .messages import Told
from .options import Database, StuckJobsError
from .pace import NotReady, Pace, in_parts
from .plan import Plan
from .record import Record
from .report import Report
from .tasks import tasks_for
from .times import Clock

LARGE = 65_536  # bytes of values that count as a row

_T = TypeVar("_T")


def work(
    tasks: Sequence[tuple[Engine, Report]],
    send: Send,
    *,
    ask_workers: bool,
    now: float | None,
    texts: Mapping[str, bytes],
) -> None:
    """Cleans up each database. An error in one is in its report, and does not stop the others.

    send: gets the messages that make up the reports.
    now: epoch seconds from which ages are counted; by default the current time.
    texts: of environment files that root has read, by their paths.
    """
    with Applications(now, texts) as applications:
        for engine, report in tasks:
            told = Told(Report(report.database, report.dry_run, report.shown, owner=report.owner), send)
            _clean_up_one(engine, told, applications if ask_workers else None, now, texts)
            told.tell(is_complete=True)


def _clean_up_one(
    engine: Engine, told: Told, applications: Applications | None, now: float | None, texts: Mapping[str, bytes]
) -> None:
    database, report = engine.database, told.report
    directory = record.directory_of(database, report.owner)
    clock, tasks, until = Clock(now), {}, time.monotonic() + database.time_limit
    try:
        if not report.dry_run:
            record.make_directory(database, directory)
        application = _start(applications, database)
        with contextlib.ExitStack() as stack:
            if not report.dry_run:
                stack.enter_context(record.only_one_run(database, directory))
            if application:
                clock, active = application.ask()
                tasks = _by_value(active, report)
            session = stack.enter_context(engine.connect(not report.dry_run, texts))
            if now is None:
                clock = clock.ahead_by(session.now() - time.time())
            plan = Plan(engine, session.rows(), clock, tasks, report.skip)
            session.check(plan.shapes())
            pages = _until(until, plan.pages(), database)
            if report.dry_run:
                for page in pages:
                    report.add(page)
            else:
                _Run(engine, session, plan, application, told, Record(database, directory)).go(pages)
            report.unknown = plan.unknown
    except StuckJobsError as error:
        report.error = str(error)
    except MemoryError:
        report.error = (
            f"{database}: it needs more memory than memory_limit allows ({format_size(database.memory_limit)}). Look"
            " for very large values in its rows, or raise memory_limit."
        )
    except Exception as error:  # no error may stop the clean-up of the other databases
        report.error = f"{database}: {error if isinstance(error, OSError) else repr(error)}."


def _until(moment: float, pages: Iterable[_T], database: Database) -> Iterator[_T]:
    """The pages until this moment of time.monotonic(): a run ends by itself before it is killed."""
    for page in pages:
        if time.monotonic() > moment:
            raise StuckJobsError(
                f"{database}: not finished after {database.time_limit:g} s. The next run goes on. Run it more often, or"
                " raise time_limit."
            )
        yield page


def _start(applications: Applications | None, database: Database) -> Application | None:
    if not applications or not database.celery:
        return None
    try:
        return applications.start(database.celery)
    except StuckJobsError as error:
        raise StuckJobsError(f"{database}: {error}") from None


def _by_value(active: ActiveTasks, report: Report) -> Mapping[str, str]:
    """What the workers are doing; empty if that is not known and the options allow it."""
    database = report.database
    report.warnings += active.warnings
    if not active.error:
        return active.by_value
    if database.unreachable == "abort":
        raise StuckJobsError(
            f"{database}: it is not known what the workers are doing: {active.error}. Start them, or set unreachable of"
            " celery to ignore if you are sure that none is running. Nothing was changed."
        )
    report.warnings.append(f"it is not known what the workers are doing ({active.error})")
    return {}


class _Run:
    """The writing part of a run."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        engine: Engine,
        session: Session,
        plan: Plan,
        application: Application | None,
        told: Told,
        record: Record,
    ) -> None:
        self.engine, self.session, self.plan = engine, session, plan
        self.application, self.told, self.report = application, told, told.report
        self.database, self.record = engine.database, record
        self.pace = Pace(session, plan.rows.page_size)

    def go(self, pages: Iterable[Sequence[Change]]) -> None:
        batches = Batches(
            self.pace, pages, _rows_of, Ahead(self.plan.read_ahead, self.plan.is_read, self.record.prepare)
        )
        try:
            self._finish_what_was_cut_short()
            for batch in batches:
                if self.session.is_remote:
                    self.session.meanwhile = batches.start_next()
                self._write(batch)
                self.report.record = self.record.part
                self.told.tell()
        finally:
            self.report.record = self.record.keep()
            self.report.locked, self.report.longest_lock = self.pace.locked, self.pace.longest

    def _write(self, batch: Sequence[Change]) -> None:
        self.record.intend(batch)
        if self.record.sync_time > self.pace.patience:
            self.record.synced()  # not within the transaction, for which others wait
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
        try:
            with self.pace.transaction(batch, self.record.synced):
                result = self.session.write(batch, self.plan.unharmed)
        except NotReady:
            self.record.synced()  # others can write meanwhile
            return self._attempt(batch)
        self.report.batches += 1
        return result

    def _leave(self, change: Change, refused: str | None) -> None:
        if refused:
            self.report.skip(Note(change.shape.table.table, change.id, f"{self.engine.name} refused it: {refused}"))
        else:
            self.report.leave(Note(change.shape.table.table, change.id, f"it is no longer as it was: {change.why}"))

    def _send(self, done: Sequence[Change]) -> None:
        """Sends a task for each job that was reset. Jobs whose tasks can't be sent are restored as they were."""
        reset = [change for change in done if change.shape.action.requeues]
        sent, error = _send(self.database, self.application, list(map(record.as_recorded, reset)))
        self.report.sent += sent
        if not error:
            self.record.sent()
            self.report.add(done)
            return
        unsent = reset[sent:]
        try:
            with self.pace.transaction(unsent):
                back = [[self.session.put_back(record.as_recorded(row)) for row in change.flat()] for change in unsent]
        except (Refused, StuckJobsError) as refusal:
            self.report.add(done)
            message = f"{self.database}: tasks can't be sent: {error}. Their rows can't be restored either: {refusal}"
            raise StuckJobsError(f"{message.rstrip('.')}. The next run will send the tasks.") from refusal
        are_back = {change.place for change, rows in zip(unsent, back) if rows[0]}
        self.report.add([change for change in done if change.place not in are_back])
        rows = list(chain.from_iterable(back))
        message = f"{self.database}: tasks can't be sent: {error}. {sum(rows)} rows were restored for the next run"
        if not all(rows):  # such as by a trigger of the database's
            raise StuckJobsError(f"{message}; it will send the tasks of the other {rows.count(False)}.")
        self.record.sent()
        raise StuckJobsError(f"{message}.")

    def _finish_what_was_cut_short(self) -> None:
        """Sends the tasks of runs that were interrupted between the commit and the sending."""
        for part in record.cut_short(self.database, self.record.directory, self.report.warnings.append):
            if self.database.requeue:
                for batch in record.read(part)[1]:
                    jobs = [job[0] for job in batch.jobs if not batch.is_sent and job[0].action.requeues]
                    waiting = [job for job in jobs if self.session.is_there(job, job.after)]
                    sent, error = _send(self.database, self.application, waiting)
                    self.report.sent += sent
                    if error:
                        raise StuckJobsError(
                            f"{self.database}: the tasks of {part} can't be sent: {error}. The next run tries again."
                        )
            record.finish(part)


def _rows_of(change: Change) -> int:
    """How many rows a change counts for in a batch: more than it has if they are large."""
    if not change.children:
        return 1 + size_of(change.row) // LARGE
    rows = change.flat()
    return len(rows) + sum(size_of(row.row) for row in rows) // LARGE


def _left(batch: Sequence[Change], done: Sequence[Change]) -> list[int]:
    """The numbers of the changes that are not done."""
    if len(done) == len(batch):
        return []
    places = {change.place for change in done}
    return [number for number, change in enumerate(batch) if change.place not in places]


def _send(database: Database, application: Application | None, jobs: Sequence[Recorded]) -> tuple[int, str]:
    """Sends a task for each of these jobs; how many were sent, and an error if not all were."""
    tasks = tasks_for(database, jobs)
    return application.send(tasks) if application and tasks else (0, "")
