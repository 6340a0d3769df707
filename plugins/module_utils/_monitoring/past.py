# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal still knows of one service's past, gathered entry by entry."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .._common.secrets import HIDDEN, assigned_secrets
from .._common.texts import printable
from . import ends, log_lines
from .config import Service
from .ends import Event
from .journal import Entry, Question, Reading
from .log_lines import Line
from .metrics import OUTCOMES

HOUR = 3600
COLUMNS = (*OUTCOMES, log_lines.RATE_LIMITED_LINE)  # of each hour
MOST_EVENTS = 2000  # the newest, of each kind
COMPARED = 4  # for so many times the report's days, what was before our first deployment is compared
MOST_EXPLAINED = 5  # ends of a service whose last words are looked up
ASKED_BEFORE = 60  # seconds from the watchdog's reason to the end
LAST_LINES = 20  # in which to look for the last words
LONGEST_WORDS = 300  # characters


_LETTER = re.compile(r"[^\W\d_]")


@dataclass
class Task:
    """The executions of a task in the report's time."""

    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    seconds: float = 0.0  # of all that succeeded
    longest: float = 0.0
    last: float | None = None  # when one last succeeded


@dataclass
class Period:
    """Sums over a time: before a service was deployed by us, or since."""

    since: float
    until: float
    succeeded: int = 0
    failed: int = 0
    refused: int = 0  # lines in which an API refuses a call
    lost: int = 0  # tasks whose process was killed
    busiest_hour: int = 0  # tasks that succeeded in it


class Past:
    """The past of a service from `begin` to `now`, of which the report shows what is since `since`.

    ours: since when it is deployed by us. If that is not long ago, `begin` is before it, for comparison.
    """

    def __init__(self, service: Service, since: float, now: float, ours: float | None) -> None:
        self.service, self.since, self.now, self.ours = service, since, now, ours
        is_new = ours is not None and ours > since - COMPARED * (now - since)
        self.begin = min(since, ours - (now - since)) if is_new else since
        self.events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self.hours = [[0] * len(COLUMNS) for _hour in range(int((now - since) // HOUR) + 1)]
        self.tasks: dict[str, Task] = {}
        self.kills: deque[float] = deque(maxlen=MOST_EVENTS)
        self._read = log_lines.reader(service.rate_limited)
        self._asked: deque[Line] = deque(maxlen=MOST_EVENTS)
        self._stands_by = deque[float](maxlen=MOST_EVENTS)
        self._counts = {True: Counter(), False: Counter()}  # of kinds, by whether it was ours
        self._busy = {True: Counter(), False: Counter()}  # succeeded by the hour

    def add_event(self, event: Event) -> None:
        self.events.append(event)

    def add_lines(self, entry: Entry) -> None:
        """What a line of its log says."""
        for line in self._read(entry):
            if line.kind == log_lines.ASKED:
                self._asked.append(line)
            elif line.kind == log_lines.STANDBY:
                self._stands_by.append(line.time)
            else:
                self._add(line)

    def _add(self, line: Line) -> None:
        ours = self.ours is None or line.time >= self.ours
        self._counts[ours][line.kind] += 1
        if line.kind == "succeeded":
            self._busy[ours][line.time // HOUR] += 1
        if not self.since <= line.time < self.now:
            return
        if line.kind in COLUMNS:
            self.hours[int((line.time - self.since) // HOUR)][COLUMNS.index(line.kind)] += 1
        if line.kind in OUTCOMES:
            task = self.tasks.setdefault(log_lines.shown_as(line.task, self.tasks), Task())
            setattr(task, line.kind, getattr(task, line.kind) + 1)
            if line.kind == "succeeded":
                task.seconds += line.seconds
                task.longest = max(task.longest, line.seconds)
                task.last = line.time

    def period(self, ours: bool, since: float) -> Period:
        """Its sums: since it is ours, or before."""
        counts, until = self._counts[ours], self.now if ours else self.ours or self.now
        return Period(
            since,
            until,
            succeeded=counts["succeeded"],
            failed=counts["failed"],
            refused=counts[log_lines.RATE_LIMITED_LINE],
            lost=counts[log_lines.LOST],
            busiest_hour=max(self._busy[ours].values(), default=0),
        )

    def explained(self, kills: Iterable[float]) -> list[Event]:
        """Its events since `since`, each end with the best words that there are for it.

        kills: when the kernel killed a process of it as memory had run out, in epoch seconds.
        """
        kills = sorted(kills)
        shown = [ends.with_kills(event, kills) for event in self.events if event.time >= self.since]
        begun = sorted(event.time for event in self.events if event.kind in ("start", "restart"))
        stood_by = sorted(self._stands_by)
        shown = [event for event in shown if not _stood_by(event, begun, stood_by)]
        exits = {event.time: event for event in shown if event.kind == "exit"}
        unknown = [event for event in shown if event.reason in ("crashed", "not started", "too slow")]
        looked_up = {event.time for event in unknown[-MOST_EXPLAINED:]}
        return [
            self._explained(event, exits, event.time in looked_up) if event.kind == "end" else event for event in shown
        ]

    def _explained(self, end: Event, exits: dict[float, Event], look: bool) -> Event:
        if end.reason == "out of memory":
            return replace(end, said="the kernel killed a process of it, as memory had run out")
        if end.reason == "hung":
            asked = [line.why for line in self._asked if 0 <= end.time - line.time < ASKED_BEFORE]
            return replace(end, said=asked[-1] if asked else "it did not answer systemd in time")
        words = _last_words(self.service.name, end.time) if look else ""
        near = [exits[time] for time in exits if abs(end.time - time) < ends.NEAR]
        how = f"systemd says: {end.result}"
        if near:
            code, status = near[-1].code, printable(near[-1].status)
            how = f"exit status {status}" if code == "exited" else f"{printable(code)}, signal {status}"
        return replace(end, said=f"{how}; its last line: {words}" if words else how)


def _stood_by(event: Event, begun: Sequence[float], stands_by: Sequence[float]) -> bool:
    """A beat that waits for the lock ends each time that it has waited for the time-out.

    begun: when its runs began; stands_by: when it has told that it waits. Both are sorted.
    """
    if event.kind != "end" or event.reason != "too slow":
        return False
    runs, told = bisect_left(begun, event.time), bisect_right(stands_by, event.time)
    return told > 0 and stands_by[told - 1] >= (begun[runs - 1] if runs else 0)


def _last_words(service: str, time: float) -> str:
    """The last line of the log before a run ended."""
    question = Question([[f"_SYSTEMD_UNIT={service}.service"]], until=time + 1, newest=LAST_LINES)
    lines = (entry.message.strip() for entry in Reading(question, since=time - HOUR, seconds=10))
    said = next((line for line in lines if _LETTER.search(line)), "")
    for secret in assigned_secrets(said):
        said = said.replace(secret, HIDDEN)
    return printable(said, LONGEST_WORDS)
