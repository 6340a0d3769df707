# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run: each owner's databases are cleaned up by a process that is that owner, and reports what it has done.

This side may be root. It finds out who the owners are, listens with limits, and opens no database itself.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Callable

from .._common.child import Child, Ended, Send, TooLate
from .._common.ownership import is_roots
from .._common.texts import printable
from .._common.users import Identity
from . import environment, record
from .engines.base import Engine
from .messages import SENTENCE, Forged, take
from .options import Database, StuckJobsError
from .report import MOST_SHOWN, SHOWN, Report
from .work import work

GRACE = 5.0  # seconds for a run to end by itself after its time limit
PREPARING, PREPARING_MEMORY = 10.0, 64 * 1024**2  # seconds, bytes

Task = tuple[Engine, Report]


def clean_up(  # noqa: PLR0913
    engine: Callable[[Database], Engine],
    databases: Iterable[Database],
    *,
    dry_run: bool = False,
    ask_workers: bool = True,
    now: float | None = None,
    shown: int = SHOWN,
) -> list[Report]:
    """Cleans up each database independently: an error in one is in its report, and does not stop the others.

    engine: makes the engine of a database.
    ask_workers: False for a dry run that looks only at the options and the databases.
    now: epoch seconds from which ages are counted; by default the current time.
    shown: how many rows of each kind a report lists, at most MOST_SHOWN; all of them are counted.
    """
    reports: list[Report] = []
    by_owner: dict[Identity, list[Task]] = {}
    for database in databases:
        report = Report(database, dry_run, min(shown, MOST_SHOWN))
        reports.append(report)
        try:
            task = engine(database), report
            owner = _prepare_in_time(*task)
        except StuckJobsError as error:
            report.error = printable(error, SENTENCE)
        else:
            report.owner = owner.name
            by_owner.setdefault(owner, []).append(task)
    for owner, tasks in by_owner.items():
        texts = environment.texts(path for engine, _report in tasks for path in environment.files_of(engine))
        options = {"ask_workers": ask_workers, "now": now, "texts": texts}
        left: Sequence[Task] = tasks
        while left:
            left = _go_on(owner, left, partial(work, left, **options))
    return reports


def _prepare_in_time(engine: Engine, report: Report) -> Identity:
    """What only this side can do for a database, in a process that can be ended: a file system can hang, such as NFS.

    Returns the owner. Raises StuckJobsError.
    """

    def prepare(send: Send) -> None:
        try:
            send(dataclasses.astuple(_prepare(engine, report)))
        except StuckJobsError as error:
            send(str(error))
        except (OSError, ValueError) as error:
            send(f"{engine.database}: {error}.")

    try:
        child = Child(prepare, Identity(os.geteuid(), os.getegid(), tuple(os.getgroups())), PREPARING_MEMORY)
        try:
            found = child.message(time.monotonic() + PREPARING)
        finally:
            child.kill()
    except TooLate:
        raise StuckJobsError(f"{engine.database}: its file system did not answer within {PREPARING:g} s.") from None
    except (Ended, OSError) as error:
        raise StuckJobsError(f"{engine.database}: no process can look for its owner: {error}.") from None
    if isinstance(found, str):
        raise StuckJobsError(found)
    uid, gid, groups = found
    return Identity(uid, gid, tuple(groups))


def _prepare(engine: Engine, report: Report) -> Identity:
    owner, database = engine.owner, engine.database
    if database.celery and owner.uid == 0 == os.geteuid():
        _check_is_roots(database)
    if not report.dry_run:
        record.make_roots_directory(record.directory_of(database, owner.name), owner)
    return owner


def _check_is_roots(database: Database) -> None:
    """The owner imports the application. If that is root, nobody else may be able to change it."""
    celery = database.celery
    for path in filter(None, (celery.directory, Path(celery.directory, celery.python), celery.environment_file)):
        if not is_roots(path):
            raise StuckJobsError(
                f"{database} belongs to root, so root would import {celery.app}, but others can change {path}. Give the"
                " database to the application's user."
            )


def _go_on(owner: Identity, tasks: Sequence[Task], work_on_them: Callable[..., None]) -> Sequence[Task]:
    """Has a process of the owner work on these databases. Returns those that it did not come to before it was ended."""
    try:
        child = Child(work_on_them, owner, max(engine.database.memory_limit for engine, _report in tasks))
    except OSError as error:  # too many processes, for example
        for engine, report in tasks:
            report.error = f"{engine.database}: no process can be started for it: {error}."
        return ()
    try:
        left = _listen(child, tasks)
    except BaseException:  # an interrupt: what it has begun is finished first
        child.stop()
        raise
    child.kill()
    return left


def _listen(child: Child, tasks: Sequence[Task]) -> Sequence[Task]:
    for number, (_engine, report) in enumerate(tasks, 1):
        why = _hear(child, report)
        if why:
            report.cut_short = True
            report.error = (
                f"{report.database}: {why}. What it has done is complete and recorded, and the next run goes on."
            )
            return tasks[number:]
    return ()


def _hear(child: Child, report: Report) -> str:
    """Takes the messages that make up a report. Returns why it is not complete, or an empty text."""
    limit = report.database.time_limit
    until = time.monotonic() + limit + GRACE
    records = record.directory_of(report.database, report.owner)
    try:
        while not take(child.message(until), report, records):
            pass
    except TooLate:
        return f"not finished after {limit:g} s, so it was ended"
    except Ended as error:
        return f"the process that cleans it up {error}"
    except Forged:
        return "the process that cleans it up sent an invalid message"
    return ""
