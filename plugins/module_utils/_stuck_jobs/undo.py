# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoes a run: restores the rows that it changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Callable, NamedTuple

from . import record
from .change import Recorded
from .engines.base import Engine, Session
from .options import Database
from .pace import Pace, in_parts


class Undone(NamedTuple):
    """What an undo restored or would restore: the rows, the jobs that it left alone, and a sentence with both."""

    back: int
    left: int
    sentence: str


def undo(engine: Callable[[Database], Engine], path: str, dry_run: bool = False) -> Undone:
    """Restores the jobs that a run changed, each with its family, if all of it is still as the run left it.

    engine: makes the engine of a database.
    path: the record of the run. Raises StuckJobsError.
    """
    head, batches = record.read(Path(path), newest_first=True)
    database = Database(table="", name=head["name"], path=head["database"])
    of_it = engine(database)
    record.check_author(path, head, of_it)
    back = left = 0
    with of_it.acting_as_owner(), of_it.connect(write=not dry_run) as session:
        pace = Pace(session)

        def attempt(jobs: Sequence[Sequence[Recorded]]) -> list[int]:
            if dry_run:
                return [len(job) for job in jobs if _can_be_put_back(session, job)]
            with pace.transaction(sum(map(len, jobs))):
                return [len(job) for job in jobs if session.put_back_whole(job)]

        for batch in batches:
            for jobs in pace.batches(batch.jobs, len):
                for part, result in in_parts(jobs, attempt):
                    done = [] if isinstance(result, str) else result
                    back += sum(done)
                    left += len(part) - len(done)
    counted = "1 row" if back == 1 else f"{back} rows"
    verb = "would be restored" if dry_run else "restored"
    message = f"{database.name}: {counted} {verb} in {database.path}"
    jobs = "1 job" if left == 1 else f"{left} jobs"
    return Undone(back, left, f"{message}; {jobs} left alone, as changed since." if left else f"{message}.")


def _can_be_put_back(session: Session, job: Sequence[Recorded]) -> bool:
    return all(not session.is_there(row, {}) if row.action.removes else session.is_there(row, row.after) for row in job)
