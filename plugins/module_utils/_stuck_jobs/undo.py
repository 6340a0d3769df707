# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: what a run changed is as it was before."""

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
    """What an undo put back, or would: rows, jobs left alone, and that in a sentence."""

    back: int
    left: int
    sentence: str


def undo(engine: Callable[[Database], Engine], path: str, dry_run: bool = False) -> Undone:
    """Puts back the jobs that a run changed, each with its family, where all of it still is as the run left it.

    engine: makes the engine of a database.
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
    verb = "would be" if dry_run else "is" if back == 1 else "are"
    message = f"{database.name}: {counted} {verb} as before in {database.path}"
    jobs = "1 job" if left == 1 else f"{left} jobs"
    return Undone(back, left, f"{message}; {jobs} changed since and left alone." if left else f"{message}.")


def _can_be_put_back(session: Session, job: Sequence[Recorded]) -> bool:
    return all(not session.is_there(row, {}) if row.action.removes else session.is_there(row, row.after) for row in job)
