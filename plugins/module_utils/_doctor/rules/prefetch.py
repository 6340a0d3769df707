# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that one worker has reserved while another is idle, and processes that share a processor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..._celery.options import most_children
from ..._common.quantities import format_duration
from ..findings import Service, Trap
from .redelivery import prefetch

_LONG = 60  # seconds
_BUSY = 0.9  # of all processors
_HOUR = 3600
_NETWORK = ("gevent", "eventlet")  # pools for tasks that wait


def reserved_behind_long(service: Service) -> Iterator[Trap]:
    """Seen, not only possible: messages wait behind a long task while a worker of the same queue is idle."""
    node = service.facts.get("service", {}).get("node")
    workers = [each for each in service.facts.get("workers", {}).get("workers", []) if each["ours"]]
    own = next((each for each in workers if each["name"] == node and each["count"] == 1), None)
    if not own or prefetch(service) == 1 or not own["reserved"] or own["longest"] < _LONG:
        return
    idle = next((each["name"] for each in workers if each["name"] != node and _could_take(each, own)), None)
    if idle:
        yield Trap(
            f"This worker has reserved {own['reserved']:g} messages, which wait behind tasks that have been active"
            f" for up to {format_duration(own['longest'])}. {idle} consumes the same queue and is idle.",
            "Write prefetch_multiplier: 1, and for long tasks also settings: {task_acks_late: true} if they may"
            " run twice: then nothing is reserved ahead.",
        )


def _could_take(other: dict[str, Any], own: dict[str, Any]) -> bool:
    is_idle = not other["reserved"] and other["active"] < other["processes"]
    return bool(is_idle and set(own["queues"]) & set(other["queues"]))


def too_many_processes(service: Service) -> Iterator[Trap]:
    """Seen: the processes have kept all processors busy since the start."""
    of_host, children = service.facts.get("service", {}), most_children(service.instance) or 0
    processors, up = of_host.get("processors", 0), of_host.get("up", 0)
    if service.instance.get("pool") in _NETWORK or not processors or children <= processors or up < _HOUR:
        return
    busy = of_host.get("cpu", 0) / up
    if busy >= _BUSY * processors:
        yield Trap(
            f"{children} tasks run at once on {processors} processors, and have kept {busy:.1f} of them busy since the"
            " worker's start: its tasks compute. More at once are not faster together, each takes longer, and they need"
            " more memory.",
            f"Write concurrency: {processors}",
        )
