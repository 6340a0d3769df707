# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the disk or the database takes long for, in a thread, so that there is time for other work."""

from __future__ import annotations

import math
import threading
import time
from typing import Any, Callable, TypeVar

LOOK = 0.00005  # seconds to wait between two parts of other work: the thread can go on only if we do nothing

_T = TypeVar("_T")


class Aside(threading.Thread):
    """A call in a thread; at once, if no memory is left for one, or if no more of them are allowed."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._result: Any = None
        self._error: BaseException | None = None
        self.seconds = math.inf  # that it took
        try:
            self.start()
        except RuntimeError:
            self.run()

    def run(self) -> None:
        begun = time.monotonic()
        try:
            self._result = self._call()
        except BaseException as error:
            self._error = error
        self.seconds = time.monotonic() - begun

    def has_ended(self, seconds: float | None = None) -> bool:
        """Waits for its end, at most these seconds."""
        if self.ident:  # it was started
            self.join(seconds)
        return not self.is_alive()

    def result(self) -> Any:
        """Waits for it. Raises what the call has raised."""
        self.has_ended()
        if self._error:
            raise self._error
        return self._result


def beside(call: Callable[[], _T], meanwhile: Callable[[], bool] | None) -> _T:
    """The result of a call.

    meanwhile: does a short part of other work, and returns whether there was one; None if there is none to do. It must
    raise nothing.
    """
    if not meanwhile:
        return call()
    aside = Aside(call)
    try:
        while not aside.has_ended(LOOK) and meanwhile():
            pass
    finally:  # also after an interrupt, as what it uses is not for two threads at once
        aside.has_ended()
    return aside.result()
