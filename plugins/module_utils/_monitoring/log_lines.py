# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lines of a service's log say: how tasks ended, that a call was refused, why it was restarted.

The application writes the log, so a line may say anything: it is only ever counted for the service that wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from .._common.texts import printable
from .config import Service
from .journal import Entry, Question
from .metrics import OTHER_TASKS
from .options import RATE_LIMITED

LONGEST = 4000  # characters of a line that are looked at
LONGEST_NAME = 200  # characters of a task's name; longer ones are cut off
MOST_NAMES = 200  # tasks of a service
MOST_SECONDS = 1e9  # of a run time; a longer one, of 30 years, is none

RATE_LIMITED_LINE, LOST, ASKED, STANDBY = "rate limited", "lost", "asked", "standby"

_TASK = r"(?P<task>\S+)\[[^\s\[\]]{1,200}\]"
_SECONDS = r"(?P<seconds>[0-9]{1,15}(?:\.[0-9]{1,30})?(?:e[+-]?[0-9]{1,2})?)"
# In Celery's words: celery/app/trace.py and celery/worker/request.py.
_OUTCOMES = {
    "succeeded": re.compile(rf"\bTask {_TASK} succeeded in {_SECONDS}s: "),
    "retried": re.compile(rf"\bTask {_TASK} retry: "),
    "failed": re.compile(
        rf"\bTask {_TASK} (?:raised (?:un)?expected|INTERNAL ERROR): "
        r"|\bHard time limit \([\d.]+s\) exceeded for (?P<late>\S+)\["
    ),
}
_OTHERS = {
    LOST: re.compile(r"\bWorkerLostError\(.*Worker exited prematurely"),
    ASKED: re.compile(r"^evenkeel_(?:watchdog|beat): asking systemd for a restart: (?P<why>.*)"),
    STANDBY: re.compile("another beat of this application holds the lock"),
}
# The arrival of a task, and a traceback's line of source code: the error itself is in the traceback's last line.
_NO_REFUSAL = re.compile(rf"\bTask {_TASK} received|^ {{4}}")
# Celery's own prefix, in which a number may be part of the time.
_PREFIX = re.compile(r"^\[[^\]]*\] ")
# What all of these have in common, for journalctl: it is faster than we are.
_GREP = (
    r"\] (succeeded in|retry:|raised (un)?expected|INTERNAL ERROR)|Hard time limit|WorkerLostError"
    r"|asking systemd for a restart|another beat of this application"
    "|^oom-kill:"  # of the kernel
)
_GREP_RATE_LIMITED = "429|Too Many Requests|RESOURCE_EXHAUSTED"  # before RATE_LIMITED looks at it more closely


@dataclass(frozen=True)
class Line:
    """What a line says. `kind`: one of the outcomes in metrics.py, or of the four above."""

    time: float  # epoch seconds
    kind: str
    task: str = ""
    seconds: float = 0  # run time of what succeeded
    why: str = ""


def question(services: Collection[Service]) -> Question:
    """What to ask of the journal: the logs of services, and the kernel's messages."""
    units = [f"_SYSTEMD_UNIT={service.name}.service" for service in services]
    # A pattern that an operator wrote is Python's, and may not be the same in PCRE.
    is_known = all(service.rate_limited == RATE_LIMITED for service in services)
    return Question(
        [["_TRANSPORT=kernel"], *([units] if units else [])],
        ("_SYSTEMD_UNIT", "_TRANSPORT"),
        f"{_GREP}|{_GREP_RATE_LIMITED}" if is_known else "",
    )


def is_kernels(entry: Entry) -> bool:
    return entry.fields.get("_TRANSPORT") == "kernel"


def service_of(entry: Entry) -> str:
    """Whose log it is."""
    return entry.fields.get("_SYSTEMD_UNIT", "").removesuffix(".service")


def reader(rate_limited: str) -> Callable[[Entry], Iterator[Line]]:
    """What reads lines. rate_limited: a regular expression for lines in which an API refuses a call."""
    limited = re.compile(rate_limited)

    def read(entry: Entry) -> Iterator[Line]:
        message = _PREFIX.sub("", entry.message[:LONGEST])
        for kind, pattern in _OUTCOMES.items():
            found = pattern.search(message)
            if found:
                yield _outcome(entry.time, kind, found.groupdict())
                # An error that a task raised has a traceback, whose last line is counted. One that it retries has not.
                if kind == "retried" and limited.search(message):
                    yield Line(entry.time, RATE_LIMITED_LINE)
                return
        for kind, pattern in _OTHERS.items():
            found = pattern.search(message)
            if found:
                yield Line(entry.time, kind, why=printable(found.groupdict().get("why", "")))
                return
        if not _NO_REFUSAL.search(message) and limited.search(message):
            yield Line(entry.time, RATE_LIMITED_LINE)

    return read


def _outcome(time: float, kind: str, found: dict[str, str | None]) -> Line:
    seconds = float(found.get("seconds") or 0)
    name = task_name(found["task"] or found.get("late") or "")
    return Line(time, kind, name, seconds if seconds <= MOST_SECONDS else 0)


def task_name(name: str) -> str:
    """A task's name as it is shown."""
    return printable(name, LONGEST_NAME)[:LONGEST_NAME]


def shown_as(task: str, known: Collection[str]) -> str:
    """The name under which a task counts: its own, unless so many are known already."""
    return task if task in known or len(known) < MOST_NAMES else OTHER_TASKS
