# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what the journal has told since the last sample, in a file that also says how far the journal was read.

So each entry is counted once, also across a rotation, a reboot, and samples that failed. Entries that journald removes
before they are read are lost: a sample each minute is early enough.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Union

from .._common import files
from . import ends, log_lines, stuck_jobs
from .config import Config, Service
from .ends import Event
from .journal import Entry, Question, Reading, newest_cursor, understood
from .log_lines import Line
from .metrics import OUTCOMES
from .unit_state import Memory, UnitState

VERSION = 1
MOST = 2**24  # bytes of the file
MOST_ENTRIES = 100_000  # that are read at once; the next sample goes on from there
SECONDS = 20  # that a reading may take

Heard = tuple[float, str, Union[Event, Line, float]]  # when, of which service, and what; a number is a kill's time


@dataclass
class TaskCounts:
    """The executions of a task, as the log has told."""

    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    seconds: float = 0.0  # of those that succeeded
    last: float | None = None  # when it last succeeded
    shown: bool = False  # whether a sample has shown it: first as zeros, so that what it began with is an increase


@dataclass
class ServiceCounts:
    """What has happened to a service since it was first sampled."""

    ends: dict[str, int] = field(default_factory=dict)  # by reason
    restarts: int = 0
    oom_kills: int = 0
    group_kills: int = 0  # of them, those that its control group counts in the present run
    killed: float = 0.0  # when the kernel last killed a process of it
    stands_by: bool = False  # a beat that has waited for the lock in this run
    rate_limited: int = 0
    lost: int = 0
    told: bool = False  # whether its log has ever told how a task ended
    tasks: dict[str, TaskCounts] = field(default_factory=dict)


@dataclass
class Counters:
    """All counters of a host."""

    since: float  # epoch seconds: before that, nothing is counted
    events: str = ""  # the cursor of what systemd, journald and clean-ups have told
    lines: str = ""  # the cursor of logs and of the kernel
    kernel: bool = False  # whether the journal has ever had the kernel's messages
    suppressed: int = 0  # lines that were left out; a part of the journal that could not be read in time counts as one
    services: dict[str, ServiceCounts] = field(default_factory=dict)
    stuck_jobs: dict[str, Any] = field(default_factory=dict)  # by database and metric

    def listen(self, config: Config, units: Mapping[str, UnitState]) -> None:
        """Counts what is new in the journal. Raises JournalError."""
        self.services = {each.name: self.services.get(each.name) or ServiceCounts() for each in config.services}
        self.kernel = self.kernel or ends.kernel_is_heard()
        # The log is read last, so that what led to an end is known with it.
        heard = [*self._events(), *self._lines(config.services)]
        for _time, name, what in sorted(heard, key=lambda each: each[0]):
            self._count(self.services[name], what)
        for name, counts in self.services.items():
            self._count_group(counts, units[name].memory)

    def _events(self) -> Iterator[Heard]:
        allowed = stuck_jobs.owners()
        self.stuck_jobs = {name: told for name, told in self.stuck_jobs.items() if name in allowed}
        reading = self._reading(self.events, ends.question(self.services, stuck_jobs.question(allowed)))

        def read(entry: Entry) -> Iterator[Heard]:
            if ends.is_systemds(entry):
                event, name = ends.event(entry), ends.service_of(entry)
                if event and name in self.services:
                    yield event.time, name, event
            elif ends.is_journalds(entry):
                self.suppressed += ends.suppressed(entry, self.services)
            else:
                self.stuck_jobs.update(stuck_jobs.told(entry, allowed))

        for entry in reading:
            yield from understood(read, entry)
        self.events = self._next(reading, self.events)

    def _lines(self, services: Collection[Service]) -> Iterator[Heard]:
        readers = {service.name: log_lines.reader(service.rate_limited) for service in services}
        reading = self._reading(self.lines, log_lines.question(services))

        def read(entry: Entry) -> Iterator[Heard]:
            if log_lines.is_kernels(entry):
                name = ends.killed_service(entry)
                if name in self.services:
                    yield entry.time, name, entry.time
                return
            name = log_lines.service_of(entry)
            for line in readers[name](entry) if name in readers else ():
                yield line.time, name, line

        for entry in reading:
            yield from understood(read, entry)
        self.lines = self._next(reading, self.lines)

    def _reading(self, cursor: str, question: Question) -> Reading:
        return Reading(question, cursor=cursor, since=self.since, most=MOST_ENTRIES, seconds=SECONDS)

    def _next(self, reading: Reading, before: str) -> str:
        """Where the next reading goes on: with the present if this one got nowhere, as the next would not either."""
        if not reading.exceeded or reading.cursor != before:
            return reading.cursor
        self.suppressed += 1
        return newest_cursor()

    def _count(self, counts: ServiceCounts, what: Event | Line | float) -> None:
        if isinstance(what, Event):
            self._count_event(counts, what)
        elif isinstance(what, Line):
            _count_line(counts, what)
        else:
            counts.oom_kills += 1
            counts.killed = what

    def _count_event(self, counts: ServiceCounts, event: Event) -> None:
        if event.kind == "end":
            # A beat that waits for the lock is never ready, and is started again and again until it gets it.
            if not (counts.stands_by and event.reason == "too slow"):
                reason = ends.with_kills(event, [counts.killed]).reason
                counts.ends[reason] = counts.ends.get(reason, 0) + 1
                counts.stands_by = False
        elif event.kind == "restart":
            counts.restarts += not counts.stands_by
            counts.stands_by = False
        elif event.kind in ("start", "stop"):
            counts.stands_by = False
        elif event.kind == "oom" and not self.kernel:
            counts.oom_kills += 1
            counts.killed = event.time

    def _count_group(self, counts: ServiceCounts, memory: Memory) -> None:
        """With control groups v1 and without the kernel's log, the group's own count is all there is."""
        now = memory.oom_kills or 0
        if memory.cgroup == 1 and not self.kernel:
            counts.oom_kills += now - counts.group_kills if now >= counts.group_kills else now
        counts.group_kills = now


def _count_line(counts: ServiceCounts, line: Line) -> None:
    if line.kind == log_lines.RATE_LIMITED_LINE:
        counts.rate_limited += 1
    elif line.kind == log_lines.LOST:
        counts.lost += 1
    elif line.kind == log_lines.STANDBY:
        counts.stands_by = True
    elif line.kind in OUTCOMES:
        counts.told = True
        task = counts.tasks.setdefault(log_lines.shown_as(line.task, counts.tasks), TaskCounts())
        setattr(task, line.kind, getattr(task, line.kind) + 1)
        if line.kind == "succeeded":
            task.seconds += line.seconds
            task.last = line.time


def load(path: str | Path, now: float) -> Counters:
    """The counters as they were stored. If there are none, or they are damaged, they begin now, at 0."""
    try:
        data = json.loads(files.read_start(path, MOST))
        if data.pop("version") == VERSION:
            data["services"] = {name: _service(each) for name, each in data["services"].items()}
            return Counters(**data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return Counters(now)


def _service(data: dict[str, Any]) -> ServiceCounts:
    tasks = {name: TaskCounts(**each) for name, each in data.pop("tasks").items()}
    return ServiceCounts(**data, tasks=tasks)


def dump(counters: Counters) -> bytes:
    """What load() reads."""
    return json.dumps({"version": VERSION, **asdict(counters)}, separators=(",", ":")).encode()
