# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the runs of services began and ended, in systemd's and the kernel's words.

systemd's messages are known by their IDs, which are the same in each version: systemd.journal-fields(7), sd-messages.h.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .journal import Entry, Question, first_time

STARTED = "39f53479d3a045ac8e11786248231fbf"
STOPPED = "9d1aaa27d60140bd96365438aad20286"
FAILED = "d9b373ed55a64feb8242e02dbe79a49c"  # "Failed with result 'watchdog'": UNIT_RESULT=
EXITED = "98e322203f7a4ed290d09fe03c09fe15"  # a process of the unit ended: EXIT_CODE=, EXIT_STATUS=
RESTARTED = "5eb03494b6584870a536b337290809b3"  # "Scheduled restart job": N_RESTARTS=
CONSUMED = "ae8f7b866b0347b9af31fe1c80b127c0"  # "Consumed …": MEMORY_PEAK=, since systemd 255
OOM = "fe6faa94e7774663a0da52717891d8ef"  # "… killed by the OOM killer", with control groups v2
SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"  # of journald: N_DROPPED= lines were left out

KINDS = {
    STARTED: "start",
    STOPPED: "stop",
    FAILED: "end",
    EXITED: "exit",
    RESTARTED: "restart",
    CONSUMED: "peak",
    OOM: "oom",
}
NEAR = 5  # seconds between what belongs to one end
_REASONS = {
    "watchdog": "hung",
    "oom-kill": "out of memory",
    "exit-code": "crashed",
    "core-dump": "crashed",
    "protocol": "crashed",
    "signal": "killed",
    "timeout": "too slow",
    "resources": "not started",
    "exec-condition": "not started",
    "start-limit-hit": "",  # given up: no run of its own
}
_FIELDS = (
    *("MESSAGE_ID", "UNIT", "UNIT_RESULT", "EXIT_CODE", "EXIT_STATUS", "MEMORY_PEAK", "N_DROPPED"),
    *("_PID", "_TRANSPORT"),
)
_NOTHING = Question(())

# Of a service in the slice of the system's services; of a container's systemd, the path has more before it.
_KILLED = re.compile(
    r"^oom-kill:constraint=\w+,.*\btask_memcg=/system\.slice/(?:[^/,]+\.slice/)*(?P<service>[^/,]+)\.service[/,]"
)
_CUT_OFF = 900  # characters of the kernel's line; it writes about 1000 bytes
_SUPPRESSED = re.compile(r"^Suppressed \d+ messages from (?P<service>.+)\.service$")


@dataclass(frozen=True)
class Event:
    """Something that happened to a service. Fields that the kind does not have are None."""

    time: float  # epoch seconds
    kind: str  # start, stop, end, exit, restart, peak or oom
    reason: str | None = None  # of an end: one of those in metrics.py
    result: str | None = None  # of an end: systemd's word for it
    code: str | None = None  # of an exit: exited, killed or dumped
    status: str | None = None  # of an exit: the exit code or the signal
    bytes: int | None = None  # of a peak
    said: str | None = None  # of an end: more of it, in words

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: the time is `t`, and what an event of its kind does not have is left out."""
        found = {name: value for name, value in asdict(self).items() if value is not None}
        return {"t": found.pop("time"), **found}


def question(services: Iterable[str], more: Question = _NOTHING) -> Question:
    """What to ask of the journal: what systemd says of services, and journald of lines that it left out.

    more: what else to ask.
    """
    units = [f"UNIT={service}.service" for service in services]
    by_systemd = ["_PID=1", *(f"MESSAGE_ID={each}" for each in KINDS), *units]
    by_journald = [f"MESSAGE_ID={SUPPRESSED}", "_TRANSPORT=driver"]
    return Question([by_journald, *([by_systemd] if units else []), *more.matches], [*_FIELDS, *more.fields])


def is_systemds(entry: Entry) -> bool:
    """Whether systemd itself has written it. Nobody else has its process ID."""
    return entry.fields.get("_PID") == "1"


def is_journalds(entry: Entry) -> bool:
    return entry.fields.get("_TRANSPORT") == "driver"


def kernel_is_heard() -> bool:
    """Whether the journal has the kernel's messages: in a container, it has none."""
    return first_time("_TRANSPORT=kernel") is not None


def service_of(entry: Entry) -> str:
    return entry.fields.get("UNIT", "").removesuffix(".service")


def event(entry: Entry) -> Event | None:
    """What an entry of systemd's says."""
    fields = entry.fields
    kind = KINDS.get(fields.get("MESSAGE_ID", ""))
    if kind == "end":
        result = fields.get("UNIT_RESULT", "")
        reason = _REASONS.get(result, "crashed")
        return Event(entry.time, kind, reason, result) if reason else None
    if kind == "exit":
        return Event(entry.time, kind, code=fields.get("EXIT_CODE"), status=fields.get("EXIT_STATUS"))
    if kind == "peak":
        peak = fields.get("MEMORY_PEAK", "")
        return Event(entry.time, kind, bytes=int(peak)) if peak.isdecimal() and len(peak) < 19 else None
    return Event(entry.time, kind) if kind else None


def killed_service(entry: Entry) -> str | None:
    """Of which service the kernel has killed a process as memory had run out; None if the entry says nothing of it."""
    # A user may name control groups of his own like this part of the line, or so long that the rest of it is cut off.
    is_clear = len(entry.message) < _CUT_OFF and entry.message.count("task_memcg=") == 1
    found = _KILLED.search(entry.message) if is_clear else None
    return found["service"] if found else None


def suppressed(entry: Entry, services: Iterable[str]) -> int:
    """How many lines of our services journald has left out."""
    found = _SUPPRESSED.search(entry.message)
    dropped = entry.fields.get("N_DROPPED", "")
    if not found or found["service"] not in services:
        return 0
    return int(dropped) if dropped.isdecimal() else 1


def with_kills(end: Event, kills: Sequence[float]) -> Event:
    """The end with its true reason, if the kernel killed a process at that time: `kills`, epoch seconds, sorted.

    With control groups v1, systemd knows only that a signal ended it.
    """
    if end.reason not in ("killed", "crashed"):
        return end
    after = bisect_right(kills, end.time - NEAR)
    is_oom = after < len(kills) and kills[after] < end.time + NEAR
    return replace(end, reason="out of memory") if is_oom else end
