# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a worker is started and stopped, in Celery's words: the same on every platform."""

from __future__ import annotations

import json
from typing import Any

from .._common.quantities import parse_duration, parse_size
from .options import Instance, node_name, time_limit

WATCHDOG = "evenkeel_watchdog"  # the module that a worker loads

# A worker without a hard time limit of its own gets this long to finish its tasks.
STOP_TIMEOUT = 300
# With one: what the pool needs to end the task and the worker to say goodbye.
STOP_MARGIN = 30
# Of that, so long before systemd kills what is left, a worker hands unfinished tasks back.
HAND_BACK_MARGIN = 10


def stop_timeout(instance: Instance) -> float:
    """Seconds that a stopping worker gets: above its hard time limit, so that no task is cut short by systemd."""
    if instance["stop_timeout"] is not None:
        return parse_duration(instance["stop_timeout"])
    limit = time_limit(instance)
    return STOP_TIMEOUT if limit is None else limit + STOP_MARGIN


def hand_back(instance: Instance) -> str | None:
    """After how many seconds a stopping worker hands unfinished tasks back; only prefork can end a running one."""
    stop = stop_timeout(instance)
    return f"{max(stop - HAND_BACK_MARGIN, stop / 2):g}" if stop and instance["pool"] == "prefork" else None


def command(instance: Instance) -> list[str]:
    """The worker's command line, as Celery's `celery worker --help` names the options."""
    settings = dict(instance["settings"])
    options = [
        ("--hostname", node_name(instance)),
        ("--queues", ",".join(instance["queues"]) or None),
        ("--pool", instance["pool"]),
        ("--concurrency", instance["concurrency"]),
        ("--loglevel", instance["log_level"]),
        ("--prefetch-multiplier", instance["prefetch_multiplier"]),
        ("--soft-time-limit", _seconds(instance["soft_time_limit"])),
        ("--time-limit", _seconds(instance["time_limit"])),
        ("--max-tasks-per-child", instance["max_tasks_per_child"]),
        ("--max-memory-per-child", _kib(instance["max_memory_per_child"])),
        # Of several --include the last one wins: all in one.
        ("--include", ",".join([*settings.pop("include", []), WATCHDOG])),
    ]
    line = [instance["executable"], "-A", instance["app"], "worker"]
    line += [f"{option}={value}" for option, value in options if value is not None]
    if settings:
        # (json) keeps the type.
        line += ["--", *(f"{name}=(json){json.dumps(value)}" for name, value in sorted(settings.items()))]
    return line


def _seconds(duration: Any) -> int | None:
    return None if duration is None else round(parse_duration(duration))


def _kib(size: Any) -> int | None:
    """Celery counts a child's memory in KiB (worker_max_memory_per_child)."""
    return None if size is None else parse_size(size) // 1024
