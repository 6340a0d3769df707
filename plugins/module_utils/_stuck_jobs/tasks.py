# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks to send for jobs that were reset: their arguments, ids and countdowns."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable
from typing import Any

from .celery_client import UUID
from .change import Recorded, attempts_in, show
from .options import Database, Requeue


def tasks_for(database: Database, jobs: Iterable[Recorded]) -> list[dict[str, Any]]:
    """For each job the arguments of Celery's send_task, and as `revoke` the ids of the task that it replaces."""
    requeue = database.requeue
    return [_task(database, requeue, job) for job in jobs] if requeue else []


def _task(database: Database, requeue: Requeue, job: Recorded) -> dict[str, Any]:
    key, id_column = tuple(job.key.values()), database.task_id_column
    task = {
        "name": requeue.task,
        "args": _filled(list(requeue.args), key),
        "kwargs": _filled(dict(requeue.kwargs), key),
    }
    if requeue.queue:
        task["queue"] = requeue.queue
    new = _ids(job.after.get(id_column))
    if new:
        task["task_id"] = new[-1]
    if requeue.revoke:
        task["revoke"] = _ids(job.row.get(id_column))
    shortest, longest = countdown(requeue, job.row.get(database.attempts_column))
    if longest:
        task["countdown"] = round(random.uniform(shortest, longest), 3)  # noqa: S311 -- no secret
    return task


def countdown(requeue: Requeue, attempts: Any) -> tuple[float, float]:
    """The least and the most seconds after which a task starts.

    Both are doubled for each attempt that the job has had, until the longer one is countdown_max. So even the tasks of
    jobs with many attempts are spread.
    """
    shortest, longest = (0.0, 0.0, *requeue.countdown)[-2:]
    if not longest:
        return 0.0, 0.0
    doubled = min(max(attempts_in(attempts) or 0, 0), 64)
    growth = min(2.0**doubled, requeue.countdown_max / longest)
    return shortest * growth, longest * growth


def new_id(like: Any) -> str | bytes:
    """An id for a new task, in the form that the old one has in the database."""
    new = uuid.uuid4()
    if isinstance(like, bytes) and len(like) == len(new.bytes):
        return new.bytes
    return new.hex if isinstance(like, str) and UUID.fullmatch(like) and "-" not in like else str(new)


def _ids(value: Any) -> list[str]:
    """The ids that a task may have whose column has this value, that of Celery's own form last; [] for none."""
    if isinstance(value, bytes):
        value = value.hex()
    if value in (None, ""):
        return []
    text = str(value)
    return list(dict.fromkeys([text, str(uuid.UUID(text))] if UUID.fullmatch(text) else [text]))


def _filled(value: Any, key: tuple[Any, ...]) -> Any:
    """{id} alone is replaced by the id with its type in the database; within a string, by its text."""
    if isinstance(value, dict):
        return {name: _filled(inner, key) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, key) for inner in value]
    if value == "{id}" and len(key) == 1 and not isinstance(key[0], bytes):
        return key[0]
    return value.replace("{id}", show(key)) if isinstance(value, str) else value
