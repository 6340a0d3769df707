# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many rows a transaction writes, how long it may hold the database, and how refused batches are divided."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, Callable, TypeVar

from .engines.base import Refused, Session

FIRST = 100.0  # rows of the first batch; later ones have as many as can be written in Session.hold
LEAST, MOST = 20, 10_000
LONGEST_WAIT = 0.05  # seconds for which a transaction may be held for something else

_T = TypeVar("_T")
_R = TypeVar("_R")


class NotReady(Exception):
    """Something that a commit needs takes longer than a transaction may be held: it has to be waited for outside."""


class Pace:
    """Finds out how many rows can be written in the time for which the database may be held."""

    def __init__(self, session: Session, most: int = MOST) -> None:
        self._session, self._most = session, most
        self.size = min(FIRST, most)  # rows that the next batch should have
        self._jobs = self._rows = 0  # of the last batch
        self._least_commit = math.inf  # seconds, however few rows it has
        self.in_doubt = False  # after an exception: whether the last transaction may have been committed
        self.locked = 0.0  # seconds, in all
        self.longest = 0.0  # seconds

    def expect(self, jobs: int, rows: int) -> None:
        """The batch that is written next, possibly in parts, has so many jobs and rows."""
        self._jobs, self._rows = jobs, rows

    @property
    def _hold(self) -> float:
        """Seconds for which a transaction may hold the database.

        At least twice the time of a commit where syncing is slow, so that not most of the time is syncing.
        """
        return max(self._session.hold, 2 * self._least_commit)

    @property
    def patience(self) -> float:
        """Seconds from its beginning after which a transaction is no longer held for something else than its writes."""
        return min(self._hold, LONGEST_WAIT)

    @contextlib.contextmanager
    def transaction(
        self, jobs: Sequence[Any], is_ready: Callable[[float], bool] = lambda _seconds: True
    ) -> Iterator[None]:
        """A transaction that writes these jobs: a batch or a part of one. Before it, other processes can write.

        is_ready: whether what has to be done before the commit is done, after at most these seconds. If it is not, the
        transaction is rolled back. Raises NotReady.
        """
        self.in_doubt = False
        self._session.begin()
        begun = time.monotonic()
        try:
            yield
            written = time.monotonic()
            if not is_ready(max(0.0, begun + self.patience - written)):
                raise NotReady
            ready = time.monotonic()
            self.in_doubt = True
            self._session.commit()
        finally:
            if self._session.roll_back():
                self.in_doubt = False
            ended = time.monotonic()
            self.locked += ended - begun
            self.longest = max(self.longest, ended - begun)
        commit = ended - ready
        took = written - begun + commit
        self._least_commit = min(self._least_commit, commit)
        # Approaches the number of rows that can be written in that time. Parts and small batches do not represent it.
        if len(jobs) == self._jobs and self._rows >= self.size / 2:
            self.size = min(max(self.size * min(2.0, self._hold / max(took, 1e-4)), LEAST), self._most)


def in_parts(jobs: Sequence[_T], attempt: Callable[[Sequence[_T]], _R]) -> Iterator[tuple[Sequence[_T], _R | str]]:
    """The result of an attempt on these jobs. If the commit is refused, each half of them is attempted separately.

    So a deferred constraint stops only the job that violates it, which is returned with the database's message.
    """
    try:
        result = attempt(jobs)
    except Refused as error:
        if len(jobs) == 1:
            yield jobs, str(error)
            return
        half = len(jobs) // 2
        yield from in_parts(jobs[:half], attempt)
        yield from in_parts(jobs[half:], attempt)
    else:
        yield jobs, result
