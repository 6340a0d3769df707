# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report on one host: how its services are, and what the journal still knows of the last days. Reads only.

Report.to_dict() is what the module celery_report returns, and what the page is built from. Times are epoch seconds,
sizes are bytes. What can't be known is None.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .._common.paths import STATE
from . import ends, history, machine, programs, unit_state
from .config import Service
from .history import Samples
from .journal import first_time
from .machine import Machine, System
from .past import HOUR, Past, Period, Task
from .programs import Stuck
from .unit_state import Memory, UnitState

DAY = 86400


@dataclass
class Journal:
    """What the journal can tell."""

    since: float | None  # its oldest entry
    persistent: bool  # whether it outlasts a reboot
    kernel: bool  # whether it has the kernel's messages, and so each process killed as memory had run out
    suppressed: int  # lines of our services that journald left out
    complete: bool  # whether all of it was read in the time that a report may take


@dataclass
class Kill:
    """A process that the kernel killed as memory had run out."""

    t: float


@dataclass
class ServiceReport:
    """A service: its present, and its past in the report's window."""

    name: str
    kind: str  # worker or beat
    loaded: bool  # whether systemd has its unit
    state: str  # one of STATES in metrics.py
    active: str  # ActiveState, SubState and Result as systemd has them
    sub: str
    result: str
    enabled: bool
    status: str  # what it says of itself
    since: float | None  # since when it runs, or does not
    running: int | None  # tasks
    taken: int | None
    started: int | None  # in this run
    sent: int | None  # by a beat, in this run
    restarts: int | None  # by systemd, since it was last started by hand
    watchdog: str | None  # after how long systemd restarts it if it hangs
    memory: Memory
    log_level: str  # which decides what its log can tell
    journal_since: float | None  # the journal's oldest entry of systemd's about it
    ours_since: float | None  # when evenkeel.celery first deployed it
    events: list[dict[str, Any]]  # see ends.Event: t, kind, and what an event of this kind has
    hours: list[list[int]]  # from the window's beginning: succeeded, failed, retried, rate limited
    tasks: dict[str, Task]  # by name
    before: Period | None  # the time before we deployed it; None if the journal does not reach so far
    after: Period
    kills: list[Kill]
    kills_since: float | None  # since when a kill would have been seen
    leftovers: list[str] | None  # stale processes, which no unit manages; None: nobody has looked


@dataclass
class Report:
    """A host."""

    host: str
    time: float
    window: tuple[float, float]
    system: System
    journal: Journal
    machine: Machine
    services: list[ServiceReport]
    stuck: Stuck
    samples: list[dict[str, Any]] = field(default_factory=list)  # see history.thinned

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "window": list(self.window)}


def collect(services: Sequence[Service], days: float, stuck_job_age: str = "") -> Report:
    """The report on this host. Raises JournalError, SystemdError or OSError.

    days: how far back it looks.
    stuck_job_age: of jobs that count as stuck; by default as the clean-up is configured.
    """
    now = time.time()
    since = now - days * DAY
    units = unit_state.look(service.name for service in services)
    kernel = ends.kernel_is_heard()
    pasts = {service.name: Past(service, since, now, ours_since(service.name)) for service in services}
    suppressed, complete = history.listen(pasts, kernel)
    samples = history.samples(since)
    return Report(
        host=platform.node(),
        time=now,
        window=(since, now),
        system=machine.system(),
        journal=Journal(first_time(), Path("/var/log/journal").is_dir(), kernel, suppressed, complete),
        machine=machine.look(),
        services=[_service(units[name], past, kernel, samples) for name, past in pasts.items()],
        stuck=programs.stuck_jobs(stuck_job_age),
        samples=history.thinned(samples, since, now),
    )


def _service(unit: UnitState, past: Past, kernel: bool, samples: Samples) -> ServiceReport:
    service, says, ours = past.service, unit.says, past.ours
    first = first_time(f"UNIT={service.name}.service", "_PID=1")
    kills, kills_since = _kills(unit, past, kernel, samples)
    is_comparable = ours and first and first < ours - HOUR
    return ServiceReport(
        name=service.name,
        kind=service.kind,
        loaded=unit.state != "missing",
        state=unit.state,
        active=unit.active,
        sub=unit.sub,
        result=unit.result,
        enabled=unit.enabled,
        status=unit.status,
        since=unit.since,
        running=says.running,
        taken=says.taken,
        started=says.started,
        sent=says.sent,
        restarts=unit.restarts,
        watchdog=unit.watchdog,
        memory=unit.memory,
        log_level=service.log_level,
        journal_since=first,
        ours_since=ours,
        events=[event.to_dict() for event in past.explained(kills)],
        hours=past.hours,
        tasks=past.tasks,
        before=past.period(False, max(first, past.begin)) if is_comparable else None,
        after=past.period(True, max(past.begin, ours or past.begin, first or past.now)),
        kills=[Kill(time) for time in kills if time >= past.since],
        kills_since=kills_since,
        leftovers=programs.stale_processes(service),
    )


def _kills(unit: UnitState, past: Past, kernel: bool, samples: Samples) -> tuple[list[float], float | None]:
    """When the kernel killed processes of it, and since when that would have been seen."""
    if kernel:
        return list(past.kills), max(past.since, first_time("_TRANSPORT=kernel") or past.now)
    if unit.memory.cgroup == 2 or past.kills:  # systemd tells of each
        return list(past.kills), past.since
    return history.kills(samples, past.service.name), history.first(samples, past.service.name) or unit.since


def ours_since(service: str) -> float | None:
    """When its first generation was stored; None if it has none."""
    times = []
    for store in ("services", "workers"):  # the second is its name until version 0.2
        directory = Path(STATE, store, service)
        for path in (directory / "original.json", *directory.glob("generations/*")):
            try:
                times.append(path.stat().st_mtime)
            except OSError:
                continue
    return min(times, default=None)
