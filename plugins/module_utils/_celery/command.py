# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's command line and its time-outs for stopping: the same on every platform."""

from __future__ import annotations

import json
from typing import Any

from .._common.quantities import parse_duration, parse_size
from .options import Instance, application_limit, node_name, time_limit

WATCHDOG = "evenkeel_watchdog"  # the module that a worker loads
SCHEDULER = "evenkeel_beat"  # the module that a beat loads

# Seconds that a service gets to stop: a worker without a hard time limit has to finish its tasks.
STOP_TIMEOUT = {"worker": 300, "beat": 30}
# Seconds after the hard time limit that the pool needs to kill the task, and the worker to shut down.
STOP_MARGIN = 30
# How many seconds before systemd kills it a worker returns its unfinished tasks to the broker.
HAND_BACK_MARGIN = 10


def stop_timeout(instance: Instance) -> float:
    """Seconds that a service gets to stop.

    For a worker more than any hard time limit, so that systemd does not interrupt a task.
    """
    if instance["stop_timeout"] is not None:
        return parse_duration(instance["stop_timeout"])
    if instance["kind"] != "worker":
        return STOP_TIMEOUT[instance["kind"]]
    limit = time_limit(instance)
    own = STOP_TIMEOUT["worker"] if limit is None else limit + STOP_MARGIN
    return max(own, application_limit(instance) + STOP_MARGIN)


def hand_back(instance: Instance) -> str | None:
    """Seconds after which a stopping worker returns unfinished tasks to the broker; only prefork can end a running one.

    None if it does not return them.
    """
    stop = stop_timeout(instance)
    return f"{max(stop - HAND_BACK_MARGIN, stop / 2):g}" if stop and instance["pool"] == "prefork" else None


def module(instance: Instance) -> str:
    """The module of ours that the service loads."""
    return {"worker": WATCHDOG, "beat": SCHEDULER}[instance["kind"]]


def command(instance: Instance) -> list[str]:
    """The service's command line."""
    return {"worker": _worker, "beat": _beat}[instance["kind"]](instance)


def state_directory(instance: Instance) -> str:
    """Where a beat keeps its schedule, below the directory of all services' state: systemd.exec(5), StateDirectory=."""
    return f"evenkeel/beat/{instance['name']}"


def _beat(instance: Instance) -> list[str]:
    """With the options that `celery beat --help` lists."""
    options = [
        ("--loglevel", instance["log_level"]),
        ("--max-interval", _seconds(instance["max_interval"])),
        ("--schedule", f"/var/lib/{state_directory(instance)}/schedule"),
        # Makes the application's own scheduler, and watches over it.
        ("--scheduler", f"{SCHEDULER}:scheduler"),
    ]
    settings = {"beat_sync_every": 1, **instance["settings"]}
    if instance["scheduler"]:
        settings["beat_scheduler"] = instance["scheduler"]
    return _line(instance, options, settings)


def _worker(instance: Instance) -> list[str]:
    """With the options that `celery worker --help` lists."""
    settings = dict(instance["settings"])
    options = [
        ("--hostname", node_name(instance)),
        ("--queues", ",".join(instance["queues"]) or None),
        ("--pool", instance["pool"]),
        ("--concurrency", None if instance["autoscale"] else instance["concurrency"]),
        ("--autoscale", ",".join(map(str, instance["autoscale"])) or None),
        ("--loglevel", instance["log_level"]),
        ("--prefetch-multiplier", instance["prefetch_multiplier"]),
        ("--soft-time-limit", _seconds(instance["soft_time_limit"])),
        ("--time-limit", _seconds(instance["time_limit"])),
        ("--max-tasks-per-child", instance["max_tasks_per_child"]),
        ("--max-memory-per-child", _kib(instance["max_memory_per_child"])),
        # Celery uses only the last of several --include, so all modules are in one.
        ("--include", ",".join([*settings.pop("include", []), WATCHDOG])),
    ]
    return _line(instance, options, settings)


def _line(instance: Instance, options: list[tuple[str, Any]], settings: dict[str, Any]) -> list[str]:
    line = [instance["executable"], "-A", instance["app"], instance["kind"]]
    line += [f"{option}={value}" for option, value in options if value is not None]
    if settings:
        # (json) keeps the value's type.
        line += ["--", *(f"{name}=(json){json.dumps(value)}" for name, value in sorted(settings.items()))]
    return line


def _seconds(duration: Any) -> int | None:
    return None if duration is None else round(parse_duration(duration))


def _kib(size: Any) -> int | None:
    """Celery counts a child's memory in KiB (worker_max_memory_per_child)."""
    return None if size is None else parse_size(size) // 1024
