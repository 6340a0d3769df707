# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs in batches of as many rows as a transaction may write, the next of which is made while one is written."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable, Generic, NamedTuple, TypeVar

from .pace import Pace

_T = TypeVar("_T")


class Ahead(NamedTuple):
    """How the next batch can be made ahead of its time."""

    read: Callable[[float], None]  # reads on, if fewer rows than these have been read
    is_read: Callable[[], bool]  # whether the next page needs no query
    prepare: Callable[[Sequence[Any]], None]  # what else takes time, for a whole batch


class Batches(Generic[_T]):
    """An iterator over jobs in batches of the pace's size.

    rows_of: how many rows a job counts for.
    """

    def __init__(
        self, pace: Pace, pages: Iterable[Sequence[_T]], rows_of: Callable[[_T], int], ahead: Ahead | None = None
    ) -> None:
        self._pace, self._pages, self._rows_of, self._ahead = pace, iter(pages), rows_of, ahead
        self._page: deque[_T] = deque()  # what is left of it
        self._batch: list[_T] = []  # the next one, as far as it is made
        self._rows = 0  # of it
        self._is_prepared = False
        self._has_large = False  # the last one, so that there is no room for another
        self._error: Exception | None = None  # after which no more can be read, to be raised in its turn

    def __iter__(self) -> Iterator[Sequence[_T]]:
        return self

    def __next__(self) -> Sequence[_T]:
        while not self._is_full() and self._add():
            pass
        if not self._batch:
            raise StopIteration
        batch, rows = self._batch, self._rows
        self._batch, self._rows, self._is_prepared = [], 0, False
        self._has_large = rows > len(batch)
        self._pace.expect(len(batch), rows)
        return batch

    def start_next(self) -> Callable[[], bool] | None:
        """What makes the next batch without a query, a short part at each call, until it returns False.

        None if there is nothing to do.
        """
        if not self._ahead or self._has_large:
            return None
        try:
            self._ahead.read(self._pace.size)
        except Exception as error:
            self._error = error
            return None
        return self._go_on if self._can_add() else None

    def _go_on(self) -> bool:
        if not self._is_full():
            try:
                return self._can_add() and self._add()
            except Exception as error:
                self._error = error
                return False
        if self._is_prepared:
            return False
        with contextlib.suppress(Exception):  # it is raised again when this batch has its turn
            self._ahead.prepare(self._batch)
        self._is_prepared = True
        return True

    def _is_full(self) -> bool:
        return self._is_prepared or self._rows >= self._pace.size

    def _can_add(self) -> bool:
        return bool(self._page) or self._ahead.is_read()

    def _add(self) -> bool:
        """Adds jobs of one page to the next batch, as many as fit. False if none are left.

        Raises what has kept others from being read.
        """
        if not self._page:
            page = next(self._pages, None)
            if page is None:
                if self._error:
                    raise self._error
                return False
            self._page.extend(page)
        while self._page and self._rows < self._pace.size:
            job = self._page.popleft()
            self._batch.append(job)
            self._rows += self._rows_of(job)
        return True
