# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoes a run: restores the rows that it changed.

A process that is the record's owner does all of it, so a record can do no more than its owner can.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple

from .._common.child import Child, Ended, Send
from .._common.ownership import Unsafe, file_of_one_user
from .._common.texts import printable
from .._common.users import Identity, owner_identity, user_name
from . import environment, record
from .batches import Batches
from .change import Recorded
from .engines.base import Engine, NotOwner, Session
from .messages import SENTENCE
from .options import Database, StuckJobsError
from .pace import Pace, in_parts

TIME_LIMIT = 3600.0  # seconds

Secret = tuple[Mapping[str, Any], Mapping[str, bytes]]  # a login, and the text of its environment file


class Undone(NamedTuple):
    """What an undo restored or would restore: the rows, the jobs that it left alone, and a sentence with both."""

    back: int
    left: int
    sentence: str


def undo(
    engine: Callable[[Mapping[str, Any]], Engine],
    path: str,
    dry_run: bool = False,
    known: Iterable[Engine] = (),
) -> Undone:
    """Restores the jobs that a run changed, each with its family, if all of it is still as the run left it.

    engine: makes the engine of the database that the head of a record describes.
    path: the record of the run. Raises StuckJobsError.
    known: of the configured databases. A record can be forged, so only for these root reads a file with a login.
    """
    file = Path(path).absolute()
    author = _author(file)
    secrets = list(_secrets(known, author))

    def work(send: Send) -> None:
        try:
            send(_undo(engine, file, dry_run, secrets))
        except StuckJobsError as error:
            send({"error": printable(error, SENTENCE)})
        except Exception as error:  # a damaged record can be anything
            send({"error": printable(f"{file} can't be undone: {error!r}. Is it a record of a run?", SENTENCE)})

    child = Child(work, author, Database.memory_limit)
    try:
        answer = child.message(time.monotonic() + TIME_LIMIT)
    except Ended as error:
        raise StuckJobsError(f"{file}: the process that undoes it {error}. Run this again to go on.") from None
    finally:
        child.stop()
    return _read(answer, file, dry_run)


def _secrets(known: Iterable[Engine], author: Identity) -> Iterator[Secret]:
    """The logins of this user's databases, each with the file for it that only root may read."""
    for engine in known:
        with contextlib.suppress(StuckJobsError):  # the system user of another project may be gone
            if engine.environment_file and engine.owner.uid == author.uid:
                yield engine.database.login, environment.texts([engine.environment_file])


def _author(file: Path) -> Identity:
    """The owner of the record. Raises StuckJobsError."""
    if os.geteuid() != 0:
        return owner_identity(os.geteuid(), os.getegid())
    try:
        found = file_of_one_user(file)
    except (OSError, Unsafe) as error:
        raise StuckJobsError(
            f"{file} is not a record of a run, or can't be read: {error}. Name a file that a run reported."
        ) from None
    return owner_identity(found.st_uid, found.st_gid)


def _read(answer: Any, file: Path, dry_run: bool) -> Undone:
    """The answer of that process, which may be forged."""
    types = {"name": str, "where": str, "back": int, "left": int}
    if isinstance(answer, dict) and isinstance(answer.get("error"), str):
        raise StuckJobsError(printable(answer["error"], SENTENCE))
    if not isinstance(answer, dict) or any(not isinstance(answer.get(name), kind) for name, kind in types.items()):
        raise StuckJobsError(f"{file}: the process that undoes it sent an invalid message.")
    back, left = answer["back"], answer["left"]
    counted = "1 row" if back == 1 else f"{back} rows"
    verb = "would be restored" if dry_run else "restored"
    message = f"{printable(answer['name'])}: {counted} {verb} in {printable(answer['where'])}"
    jobs = "1 job" if left == 1 else f"{left} jobs"
    return Undone(back, left, f"{message}; {jobs} left alone, as changed since." if left else f"{message}.")


def _undo(
    engine: Callable[[Mapping[str, Any]], Engine], path: Path, dry_run: bool, secrets: Sequence[Secret]
) -> dict[str, Any]:
    head, batches = record.read(path, newest_first=True)
    try:
        of_it = engine(head)
    except StuckJobsError as error:
        raise StuckJobsError(f"{path} is not a record of a run: {error} Name a file that a run reported.") from None
    database = of_it.database
    _check_is_ours(path, of_it)
    texts = next((texts for login, texts in secrets if login == database.login), {})
    back = left = 0
    with of_it.connect(not dry_run, texts) as session:
        pace = Pace(session)

        def attempt(jobs: Sequence[Sequence[Recorded]]) -> list[int]:
            if dry_run:
                return [len(job) for job in jobs if _can_be_put_back(session, job)]
            with pace.transaction(jobs):
                return [len(job) for job in jobs if session.put_back_whole(job)]

        for batch in batches:
            for jobs in Batches(pace, [batch.jobs], len):
                for part, result in in_parts(jobs, attempt):
                    done = [] if isinstance(result, str) else result
                    back += sum(done)
                    left += len(part) - len(done)
    return {"name": database.name, "where": database.where, "back": back, "left": left}


def _check_is_ours(path: Path, engine: Engine) -> None:
    """A record of one user's is not for the database of another."""
    try:
        if engine.owner.uid == os.geteuid():
            return
    except NotOwner:
        pass
    raise StuckJobsError(
        f"{path} belongs to {user_name(os.geteuid())}, who does not own {engine.database.where}, so it is not a record"
        " of ours. Name a file under /var/lib/evenkeel/job_cleanup or record_directory."
    )


def _can_be_put_back(session: Session, job: Sequence[Recorded]) -> bool:
    return all(not session.is_there(row, {}) if row.action.removes else session.is_there(row, row.after) for row in job)
