# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host answers about its services: the fields of celery_report's result that the report uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import printable

from .._common.silence import reason
from .read import read
from .words import HOUR, MINUTE

OUT_OF_MEMORY = "out of memory"
MOST_KILLS = 1000  # that are counted of a run, if nobody tells when they were
SUCCEEDED, FAILED, RETRIED, REFUSED = range(4)  # the columns of `hours`
_INFO, _WARNING = ("debug", "info"), ("debug", "info", "warning")
_LEVELS = (_INFO, _INFO, _INFO, _WARNING)  # Celery's log levels that tell of a column


@dataclass(frozen=True)
class System:
    os: str
    systemd: str
    kernel: str


@dataclass(frozen=True)
class Journal:
    since: float | None  # its first entry
    persistent: bool  # whether it survives a reboot
    kernel: bool  # whether it has the kernel's messages
    suppressed: int  # messages of our services that journald left out
    complete: bool = True  # whether all of it was read in the time that a report may take


@dataclass(frozen=True)
class MachineMemory:
    total: int
    used: int
    swap_total: int
    swap_used: int


@dataclass(frozen=True)
class Disk:
    path: str
    total: int
    free: int

    @property
    def full(self) -> float:
        """From 0 to 1."""
        return max(0, 1 - self.free / self.total) if self.total else 0


@dataclass(frozen=True)
class Machine:
    memory: MachineMemory
    disks: list[Disk]
    booted: float
    container: bool = False  # then its memory is that of the machine around it


@dataclass(frozen=True)
class Memory:
    """Of a service, in bytes; None where it can't be known, or where there is no limit."""

    working: int | None = None  # without the files that the kernel would give back
    peak: int | None = None
    swap: int | None = None
    oom_kills: int | None = None  # of the present run
    cgroup: int | None = None  # the version
    max: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Event:
    t: float
    kind: str
    reason: str = ""
    said: str = ""
    bytes: int = 0


@dataclass(frozen=True)
class Kill:
    t: float


@dataclass(frozen=True)
class Task:
    succeeded: int
    failed: int
    retried: int
    seconds: float  # of all that succeeded
    longest: float
    last: float | None  # when one succeeded last


@dataclass(frozen=True)
class Period:
    """Sums of what a service did: before its first deployment by us, or since."""

    since: float
    succeeded: int
    failed: int
    refused: int
    lost: int  # tasks whose process was killed
    busiest_hour: int


@dataclass(frozen=True)
class Service:
    name: str
    kind: str  # worker or beat
    state: str  # one of those in _monitoring/metrics.py
    status: str
    since: float | None
    running: int | None
    taken: int | None
    started: int | None
    watchdog: str | None
    memory: Memory
    journal_since: float | None
    ours_since: float | None
    events: list[Event]
    hours: list[list[int]]  # for each hour of the window: succeeded, failed, retried, refused
    tasks: dict[str, Task]
    before: Period | None
    after: Period
    kills: list[Kill]  # of its processes, by the kernel as memory had run out
    kills_since: float | None  # since when a kill would have been seen
    log_level: str = "info"
    active: str = ""  # as systemd has it
    leftovers: list[str] | None = None  # processes of the application that no unit manages; None: not looked for

    @property
    def ends(self) -> list[Event]:
        """Each time that a run ended without having been asked to."""
        return [event for event in self.events if event.kind == "end"]

    @property
    def ends_since_ours(self) -> list[Event]:
        """Those since its first deployment by us."""
        return [end for end in self.ends if end.t >= (self.ours_since or 0)]

    @property
    def all_kills(self) -> list[float]:
        """When processes of it were killed as memory had run out, each once, whoever told of it."""
        seen = [kill.t for kill in self.kills]
        ends = [end.t for end in self.ends if end.reason == OUT_OF_MEMORY]
        seen += [at for at in ends if not any(abs(at - other) < MINUTE for other in seen)]
        begun = self.since or 0
        untold = (self.memory.oom_kills or 0) - sum(at >= begun for at in seen)
        return seen + [begun] * min(max(0, untold), MOST_KILLS)

    @property
    def kills_since_ours(self) -> list[float]:
        """Those since its first deployment by us."""
        return [at for at in self.all_kills if at >= (self.ours_since or 0)]

    @property
    def peak(self) -> int:
        """The most memory that any run of the window took; of past runs, systemd 255 and later knows it."""
        return max([self.memory.peak or 0, *(event.bytes for event in self.events if event.kind == "peak")])

    def total(self, column: int) -> int | None:
        """Of a column of `hours`; None if the log can't tell."""
        total = sum(hour[column] for hour in self.hours)
        return total if total or self._logs(column) else None

    def refused_since_ours(self, begin: float) -> int | None:
        """The refused calls since `begin`, the window's, or since its first deployment by us if that is later."""
        if (self.ours_since or 0) <= begin:
            return self.total(REFUSED)
        return self.after.refused or (0 if self._logs(REFUSED) else None)

    def _logs(self, column: int) -> bool:
        """Whether each of these would be in the log."""
        if self.kind != "worker" or self.log_level not in _LEVELS[column]:
            return False
        return column == REFUSED or not self.started or any(map(any, self.hours))


@dataclass(frozen=True)
class Stuck:
    known: bool
    why: str = ""
    count: int = 0
    skipped: int = 0
    oldest: float = 0  # seconds


@dataclass(frozen=True)
class Sample:
    """The highest values of about half an hour."""

    t: float
    used: int  # of the machine's memory
    at: float | None = None  # when that was
    services: dict[str, list[int | None]] = field(default_factory=dict)  # working memory, peak, tasks
    n: int = 1


@dataclass(frozen=True)
class Answer:
    time: float
    window: tuple[float, float]
    system: System
    journal: Journal
    machine: Machine
    services: list[Service]
    stuck: Stuck
    samples: list[Sample]

    def peak_of(self, service: Service) -> int:
        """The most memory of a service that anybody knows of, in bytes."""
        sampled = (sample.services.get(service.name, [])[:2] for sample in self.samples)
        return max([service.peak, *(value or 0 for values in sampled for value in values)])

    def __post_init__(self) -> None:
        begin, end = self.window
        if not end - 400 * 24 * HOUR <= begin < end:
            raise ValueError(f"window reaches from {begin} to {end}")
        for service in self.services:
            if len(service.hours) > (end - begin) // HOUR + 1 or any(len(hour) != 4 for hour in service.hours):
                raise ValueError(f"{service.name}: hours does not fit the window")


def answers_of(results: Mapping[str, Any]) -> tuple[dict[str, Answer], dict[str, str]]:
    """The answers, and why other hosts gave none. results: of celery_report, by host."""
    answers, silent = {}, {}
    for host, result in results.items():
        try:
            answers[printable(host)] = _answer(result if isinstance(result, Mapping) else {})
        except ValueError as error:
            silent[printable(host)] = str(error)
    return answers, silent


def _answer(result: Mapping[str, Any]) -> Answer:
    """Raises ValueError, which says why there is none."""
    if "report" in result:
        try:
            return read(Answer, result["report"])
        except ValueError as error:
            raise ValueError(f"its answer can't be read: {error}") from None
    raise ValueError(reason(result))
