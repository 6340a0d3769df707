# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How services are now: systemd's state, what they say of themselves, and their memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .._common import files, systemd
from .status import Status, parse

_CGROUPS = Path("/sys/fs/cgroup")
_PROPERTIES = (
    *("LoadState", "ActiveState", "SubState", "UnitFileState", "Result", "Type", "StatusText", "NRestarts"),
    *("ActiveEnterTimestampMonotonic", "InactiveEnterTimestampMonotonic", "ControlGroup"),
    *("MemoryMax", "MemoryHigh", "MemoryPeak", "WatchdogUSec", "Job"),
)
_LONGEST = 2**16  # bytes of a control group's file
_RUNNING = ("active", "reloading")
_MOST = 2**63  # systemd prints 2**64-1 for a number that there is not


@dataclass(frozen=True)
class Memory:
    """A service's memory in bytes. What can't be known is None."""

    working: int | None = None  # without files that the kernel drops by itself
    peak: int | None = None  # of this run
    swap: int | None = None
    oom_kills: int | None = None  # processes of this run that the kernel killed
    max: int | None = None  # MemoryMax=
    high: int | None = None  # MemoryHigh=
    cgroup: int | None = None  # the version of control groups: 1 or 2


@dataclass(frozen=True)
class UnitState:
    """A service as systemd has it."""

    state: str  # one of those in metrics.py
    active: str = ""  # ActiveState, SubState, Result and the others as systemd prints them
    sub: str = ""
    result: str = ""
    enabled: bool = False
    since: float | None = None  # epoch seconds of the last change between running and not running
    watchdog: str | None = None  # WatchdogSec=, after which systemd restarts it if it hangs
    restarts: int | None = None  # since it was last started by hand
    status: str = ""  # what it says of itself, if it runs
    says: Status = field(default_factory=Status)
    memory: Memory = field(default_factory=Memory)


def look(services: Iterable[str]) -> dict[str, UnitState]:
    """The services as they are now, by one call. Raises SystemdError."""
    return {name: _state(found) for name, found in systemd.show(services, _PROPERTIES).items()}


def _state(unit: Mapping[str, str]) -> UnitState:
    active, sub = unit.get("ActiveState", ""), unit.get("SubState", "")
    # systemd keeps the status of a run that is over.
    runs = active in (*_RUNNING, "deactivating") or (active == "activating" and sub != "auto-restart")
    text = unit.get("StatusText", "") if runs else ""
    says = parse(text)
    return UnitState(
        state=_word(unit, says),
        active=active,
        sub=sub,
        result=unit.get("Result", ""),
        enabled=unit.get("UnitFileState") == "enabled",
        since=_time(
            unit.get("ActiveEnterTimestampMonotonic" if active in _RUNNING else "InactiveEnterTimestampMonotonic")
        ),
        watchdog=None if unit.get("WatchdogUSec", "") in ("", "0", "infinity") else unit["WatchdogUSec"],
        restarts=_number(unit.get("NRestarts")),
        status=text,
        says=says,
        memory=_memory(unit),
    )


def _word(unit: Mapping[str, str], says: Status) -> str:
    if unit.get("LoadState") != "loaded":
        return "missing" if unit.get("LoadState") else "unknown"
    up = says.state or ("ready" if unit.get("Type") == "notify" else "running")
    return {
        "active": up,
        "activating": says.state if says.state in ("standby", "disconnected") else "starting",
        "deactivating": "hung" if says.state == "hung" else "stopping",
        "failed": "failed",
        # Between two runs, what has to precede the next one may still be running.
        "inactive": "starting" if unit.get("Job") else "stopped",
        "reloading": up,
    }.get(unit.get("ActiveState", ""), "unknown")


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and int(text) < _MOST else None


def _time(since_boot: str | None) -> float | None:
    """Epoch seconds of a time that systemd gives in microseconds of the monotonic clock."""
    microseconds = _number(since_boot)
    return time.time() - time.monotonic() + microseconds / 1e6 if microseconds else None


def _memory(unit: Mapping[str, str]) -> Memory:
    limits = {"max": _number(unit.get("MemoryMax")), "high": _number(unit.get("MemoryHigh"))}
    group = unit.get("ControlGroup", "").lstrip("/")
    if not group:
        return Memory(**limits)
    second = (_CGROUPS / "cgroup.controllers").exists()
    return Memory(**limits, **(_second(_CGROUPS / group, unit) if second else _first(_CGROUPS / "memory" / group)))


def _second(group: Path, unit: Mapping[str, str]) -> dict[str, int | None]:
    """The files of control groups v2."""
    peak = _number(_read(group / "memory.peak"))  # since Linux 5.19
    return {
        "cgroup": 2,
        "working": _working(_read(group / "memory.current"), _pairs(group / "memory.stat").get("inactive_file", 0)),
        "peak": _number(unit.get("MemoryPeak")) if peak is None else peak,
        "swap": _number(_read(group / "memory.swap.current")),
        "oom_kills": _pairs(group / "memory.events").get("oom_kill"),
    }


def _first(group: Path) -> dict[str, int | None]:
    """The files of control groups v1."""
    stat = _pairs(group / "memory.stat")
    return {
        "cgroup": 1,
        "working": _working(_read(group / "memory.usage_in_bytes"), stat.get("total_inactive_file", 0)),
        "peak": _number(_read(group / "memory.max_usage_in_bytes")),
        "swap": stat.get("total_swap"),
        "oom_kills": _pairs(group / "memory.oom_control").get("oom_kill"),
    }


def _working(used: str, inactive_files: int) -> int | None:
    total = _number(used)
    return None if total is None else max(0, total - inactive_files)


def _read(path: Path) -> str:
    try:
        return files.read_start(path, _LONGEST).decode("ascii", "replace").strip()
    except OSError:  # the service has just ended
        return ""


def _pairs(path: Path) -> dict[str, int]:
    words = map(str.split, _read(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdecimal()}
