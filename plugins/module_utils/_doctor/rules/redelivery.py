# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brokers deliver a message once more if it is not acknowledged in time: Redis, and in its way RabbitMQ."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..._common.quantities import format_duration, parse_duration
from ..findings import HINT, Service, Trap
from .versions import number

_HOUR = 3600
_CONSUMER_TIMEOUT = 1800  # seconds; RabbitMQ's default
_SINCE = (3, 8, 17)


def visibility_timeout(service: Service) -> Iterator[Trap]:
    visible, limit = service.facts["settings"].get("visibility_timeout"), _longest_late(service)
    if visible and limit > visible:
        yield Trap(
            f"Tasks with acks_late may take {format_duration(limit)}, but after visibility_timeout,"
            f" {format_duration(visible)}, the broker delivers the message of a task that has not ended to another"
            " worker: the task runs twice at the same time.",
            f"{_longer(limit)} Or lower the time limit.",
        )


def visibility_timeout_reserved(service: Service) -> Iterator[Trap]:
    settings = service.facts["settings"]
    visible, late = settings.get("visibility_timeout"), _longest_late(service)
    limit, reserved = late or _longest(service), prefetch(service)
    if visible and limit and reserved and limit <= visible < limit * reserved:
        yield Trap(
            f"Each process reserves {reserved:g} messages, and a task may take {format_duration(limit)}. The last of"
            f" them may wait {format_duration(limit * reserved)}, but after visibility_timeout,"
            f" {format_duration(visible)}, the broker delivers it to another worker as well: the task runs twice.",
            f"Write prefetch_multiplier: 1. {_longer(limit * reserved).replace('Write', 'Or write')}",
            "" if late else HINT,
        )


def visibility_timeout_eta(service: Service) -> Iterator[Trap]:
    visible = service.facts["settings"].get("visibility_timeout")
    longest = service.facts.get("etas", {}).get("longest")
    if visible and longest and longest["seconds"] > visible:
        yield Trap(
            f"Task {longest['task']} in queue {longest['queue']} has an ETA or countdown of"
            f" {format_duration(longest['seconds'])}. A worker holds it until then, but after visibility_timeout,"
            f" {format_duration(visible)}, the broker delivers it to another worker as well, again and again: the"
            " task runs several times.",
            f"{_longer(longest['seconds'])} Or let beat send the task when it is due.",
        )


def rabbitmq_timeout(service: Service) -> Iterator[Trap]:
    version, limit = service.facts.get("rabbitmq", {}).get("version"), _longest_late(service)
    if version and number(version) >= _SINCE and limit > _CONSUMER_TIMEOUT:
        yield Trap(
            f"Tasks with acks_late may take {format_duration(limit)}. Unless its consumer_timeout was raised,"
            f" RabbitMQ {version} closes the channel of a worker that has not acknowledged a message after"
            f" {format_duration(_CONSUMER_TIMEOUT)} (PRECONDITION_FAILED), and delivers all of its messages again.",
            f"In rabbitmq.conf, or the provider's settings: consumer_timeout = {_rounded(limit) * 1000}",
        )


def prefetch(service: Service) -> float:
    """How many messages are reserved for each process; 0 if there is no bound, or it is not known."""
    settings, own = service.facts["settings"], service.instance.get("prefetch_multiplier")
    if settings.get("disable_prefetch"):
        return 1
    return settings.get("prefetch", 0) if own is None else own


def _common(service: Service) -> float:
    """Seconds of the time limit of tasks that have none for themselves; 0 if there is none."""
    instance = service.instance
    hard, soft = (parse_duration(instance.get(name) or 0) for name in ("time_limit", "soft_time_limit"))
    return hard or service.facts["settings"].get("limit", 0) or soft


def _longest(service: Service) -> float:
    """Seconds of the longest time limit of a task; 0 if there is none."""
    return max(_common(service), service.facts["settings"].get("own_limit", 0))


def _longest_late(service: Service) -> float:
    """The same for tasks with acks_late."""
    settings = service.facts["settings"]
    common = _common(service) if settings.get("late_without_own_limit") else 0
    return max(common, settings.get("late_own_limit", 0))


def _longer(needed: float) -> str:
    return (
        f"Write settings: {{broker_transport_options: {{visibility_timeout: {_rounded(needed)}}}}}, beside the options"
        " that the application sets there, for all workers of this broker."
    )


def _rounded(needed: float) -> int:
    """Whole hours, with some to spare."""
    return math.ceil((needed + 600) / _HOUR) * _HOUR
