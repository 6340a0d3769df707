# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Celery applications of a run: each is started and asked once, for all of its databases."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from . import environment
from .celery_client import ActiveTasks, CeleryClient
from .options import Celery
from .times import Clock

FRESH = 10.0  # seconds for which an answer is reused for further databases


class Answer(NamedTuple):
    """What the workers are doing, and a clock that was started before they were asked.

    So a job that a worker began after it was asked, and that is therefore in no answer, is too young to be stuck.
    """

    clock: Clock
    tasks: ActiveTasks


class Application:
    """An application whose helper has been started."""

    def __init__(self, client: CeleryClient, now: float | None) -> None:
        self._client, self._now = client, now
        self._answer: Answer | None = None

    def ask(self) -> Answer:
        """What the workers are doing; an answer of the last seconds is reused unless tasks were sent since."""
        answer = self._answer
        if not answer or answer.clock.now() - answer.clock.begun > FRESH:
            answer = self._answer = Answer(Clock(self._now), self._client.active_tasks())
        return answer

    def send(self, tasks: Sequence[dict[str, Any]]) -> tuple[int, str]:
        """Sends these tasks, in this order. Returns how many were sent, and an error if not all were."""
        self._answer = None
        return self._client.send(tasks)


class Applications(contextlib.ExitStack):
    """The applications of a run; their helpers are stopped at its end.

    now: epoch seconds from which ages are counted; None for the current time.
    texts: of environment files that root has read, by their paths.
    """

    def __init__(self, now: float | None, texts: Mapping[str, bytes]) -> None:
        super().__init__()
        self._now, self._texts = now, texts
        self._started: dict[Celery, Application] = {}

    def start(self, celery: Celery) -> Application:
        """The application, started if it is not yet. Raises StuckJobsError if its environment file can't be read."""
        key = replace(celery, task_id_column="", unreachable="")  # these two are the databases' own
        if key not in self._started:
            file = celery.environment_file
            client = CeleryClient(key, environment.variables(file, self._texts.get(file)))
            self.callback(client.stop)
            client.start()
            self._started[key] = Application(client, self._now)
        return self._started[key]
