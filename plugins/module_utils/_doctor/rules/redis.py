# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the Redis of the broker is set up."""

from __future__ import annotations

from collections.abc import Iterator

from ..._common.quantities import format_size
from ..findings import HINT, WARNING, Service, Trap, some

_ALMOST_FULL = 0.9
_MANY = 100  # values of others

_CONF = "In redis.conf, or the provider's parameter group:"
_NOEVICTION = f"{_CONF} maxmemory-policy noeviction. Put caches into another Redis."


def evicts_queues(service: Service) -> Iterator[Trap]:
    redis = service.facts["redis"]
    policy, most = redis.get("policy", ""), redis.get("max_memory")
    if policy.startswith("allkeys-") and most is not None:
        when = f"When its memory, {format_size(int(most))}, is full" if most else "As soon as it has a maxmemory"
        dropped = f" It has dropped {redis['evicted']:g} keys since its start." if redis.get("evicted") else ""
        yield Trap(
            f"Redis has maxmemory-policy {policy}. {when}, it drops queues with all of their messages, without an"
            f" error.{dropped}",
            _NOEVICTION,
            "" if most else HINT,
        )


def evicts_results(service: Service) -> Iterator[Trap]:
    redis, settings = service.facts["redis"], service.facts["settings"]
    policy, most = redis.get("policy", ""), redis.get("max_memory")
    stored = redis.get("has_results") and settings.get("storing") and settings.get("results_expire")
    if policy.startswith("volatile-") and most is not None and stored:
        yield Trap(
            f"Redis has maxmemory-policy {policy}. When its memory is full of queues, it drops results before they"
            " expire: whoever waits for one waits in vain, and chords do not end.",
            _NOEVICTION,
            "" if most else HINT,
        )


def almost_full(service: Service) -> Iterator[Trap]:
    redis = service.facts["redis"]
    used, most = redis.get("memory", 0), redis.get("max_memory", 0)
    if most and used >= _ALMOST_FULL * most:
        then = "drops keys" if redis.get("policy", "noeviction") != "noeviction" else "refuses new messages"
        yield Trap(
            f"Redis uses {used / most:.0%} of its maxmemory, {format_size(int(most))}. When it is full, it {then}.",
            f"Find what fills it: redis-cli --bigkeys. Or give it more. {_CONF} maxmemory {_twice(int(most))}",
        )


def not_persistent(service: Service) -> Iterator[Trap]:
    redis = service.facts["redis"]
    if redis.get("append_only") is False and redis.get("snapshots") is False:
        yield Trap(
            "Redis saves nothing: neither snapshots nor an append-only file. When it restarts, all messages that"
            " wait or are being executed are lost.",
            f"{_CONF} appendonly yes. On a running server of your own first redis-cli CONFIG SET appendonly yes, or the"
            " file begins empty.",
        )


def failed_to_save(service: Service) -> Iterator[Trap]:
    if service.facts["redis"].get("failed_to_save"):
        yield Trap(
            "Redis could not save its data the last time that it tried. By default it then refuses all writes: no task"
            " can be sent, and no worker gets one.",
            "See its log. Its disk may be full, its directory read-only, or its memory too large to fork: sysctl"
            " vm.overcommit_memory=1",
        )


def cache_beside_queues(service: Service) -> Iterator[Trap]:
    redis = service.facts["redis"]
    if redis.get("caches"):
        yield Trap(
            f"Django's cache {some(redis['caches'])} is in the broker's database. cache.clear() empties the whole"
            " database, with all queues and the messages that are being executed.",
            "In the application's settings, give the LOCATION of the cache another database, such as"
            " redis://127.0.0.1:6379/1, or better another Redis.",
        )
    elif redis.get("others", 0) >= _MANY:
        yield Trap(
            f"The broker's database has {redis['others']:g} or more values that are not Celery's, such as those of a"
            " cache. Whoever empties it (FLUSHDB), as caches do, deletes all queues.",
            "Give the other program another database, such as redis://127.0.0.1:6379/1, or better another Redis.",
            WARNING,
        )


def _twice(size: int) -> str:
    return format_size(size * 2).lower() + "b" * (size % 1024 == 0)
