# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of Celery and its libraries with known faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..findings import HINT, WARNING, Service, Trap


@dataclass(frozen=True)
class Fault:
    """Versions from `since` on have it, and those from `fixed` on no longer.

    redis: where Redis has to be used for the fault to matter, as transport or for results; empty for faults that
    always do.
    """

    package: str
    since: str
    fixed: str
    what: str
    source: str
    severity: str = WARNING
    redis: tuple[str, ...] = ()


FAULTS = (
    Fault(
        *("kombu", "5.2.3", "5.4.0"),
        "after Redis was away, such as for a restart, a worker may be connected again and still receive nothing",
        "https://github.com/celery/celery/issues/8030",
        redis=("transport",),
    ),
    Fault(
        *("kombu", "0", "5.3.2"),
        "a task may be lost when a worker closes its connection to Redis, such as at a restart",
        "https://github.com/celery/kombu/pull/1733",
        redis=("transport",),
    ),
    Fault(
        *("celery", "5.3.2", "5.3.4"),
        "changes that broke results in databases; these versions were withdrawn",
        "https://docs.celeryq.dev/en/stable/history/changelog-5.3.html",
    ),
    Fault(
        *("redis", "4.5.5", "4.6.0"),
        "a worker may end without any message, for which Celery excludes this version",
        "https://github.com/celery/celery/issues/8310",
        redis=("transport", "results"),
    ),
    Fault(
        *("celery", "0", "5.6.0"),
        "a process keeps some memory of each task that raised an exception",
        "https://github.com/celery/celery/pull/9799",
        HINT,
    ),
)
_NAMES = {"redis": "redis-py", "celery": "Celery"}


def known_faults(service: Service) -> Iterator[Trap]:
    versions, settings = service.facts["versions"], service.facts["settings"]
    for fault in FAULTS:
        version = versions.get(fault.package)
        if not version or not number(fault.since) <= number(version) < number(fault.fixed):
            continue
        if not fault.redis or "redis" in [settings.get(use) for use in fault.redis]:
            # The watchdog restarts a worker that receives nothing while messages wait.
            name = _NAMES.get(fault.package, fault.package)
            yield Trap(
                f"{name} {version} has a known fault: {fault.what} ({fault.source}).",
                f"Install {name} {fault.fixed} or later.",
                fault.severity,
            )


def number(version: str) -> tuple[int, ...]:
    """For comparisons; without zeros at the end, as 5.4 is 5.4.0."""
    numbers = [int(part) for part in version.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
