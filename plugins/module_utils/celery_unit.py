# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker's instance becomes on the host: its systemd unit, its environment file, its command line.

Pure: an instance (a dictionary of the options in celery_instances.py) goes in, text comes out.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterable

from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import parse_duration, parse_size

Instance = Dict[str, Any]

MARKER = "# Managed by evenkeel.celery"
UNIT_DIRECTORY = "/etc/systemd/system"
ENVIRONMENT_DIRECTORY = "/etc/evenkeel"
PROGRAM_DIRECTORY = "/usr/local/lib/evenkeel"
WATCHDOG = "evenkeel_watchdog"
STALE_WORKERS = PROGRAM_DIRECTORY + "/stale_workers.py"

# A worker without a hard time limit of its own gets this long to finish its tasks.
STOP_TIMEOUT = 300
# With one: what the pool needs to end the task and the worker to say goodbye.
STOP_MARGIN = 30
# Of that, so long before systemd kills what is left, a worker hands unfinished tasks back.
HAND_BACK_MARGIN = 10
# A hung worker that the watchdog aborts gets this long to say where it hung; one that doesn't heed SIGABRT is killed.
ABORT_TIMEOUT = 10


def unit_path(name: str) -> str:
    return f"{UNIT_DIRECTORY}/{name}.service"


def environment_path(name: str) -> str:
    return f"{ENVIRONMENT_DIRECTORY}/{name}.env"


def program_directory(name: str) -> str:
    """The instance's own: one worker's programs can go back to an earlier state without the others'."""
    return f"{PROGRAM_DIRECTORY}/{name}"


def watchdog_path(name: str) -> str:
    return f"{program_directory(name)}/{WATCHDOG}.py"


def node_name(instance: Instance) -> str:
    """Celery expands %h to the host's name; what stands before the first @ is the node's."""
    return instance["node_name"] or f"{instance['name'].replace('@', '-')}@%h"


def time_limit(instance: Instance) -> float | None:
    """Seconds after which Celery ends a task, as far as the option or the setting says it."""
    if instance["time_limit"] is not None:
        return parse_duration(instance["time_limit"])
    said = instance["settings"].get("task_time_limit")
    return said if isinstance(said, (int, float)) else None


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


def stale_workers_command(instance: Instance) -> list[str]:
    line = ["/usr/bin/python3", STALE_WORKERS]
    line += ["--app", instance["app"], "--directory", instance["directory"], "--node", node_name(instance)]
    for user in [instance["user"], *instance["stale_workers_users"]]:
        line += ["--user", user]
    timeout = parse_duration(instance["stale_workers_timeout"])
    return [*line, "--timeout", f"{timeout:g}", "--action", instance["stale_workers"]]


def unit(instance: Instance) -> str:
    """The text of the unit: systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.resource-control(5)."""
    after = " ".join(["network-online.target", *instance["after"]])
    sections = {
        "Unit": [
            ("Description", specifiers(_one_line(instance["description"]) or f"Celery worker {instance['name']}")),
            ("Wants", after),
            ("After", after),
            ("StartLimitIntervalSec", instance["start_limit_interval"]),
            ("StartLimitBurst", instance["start_limit_burst"]),
        ],
        "Service": [
            ("Type", "notify"),
            ("NotifyAccess", "main"),
            ("User", instance["user"]),
            ("Group", instance["group"]),
            ("WorkingDirectory", specifiers(instance["directory"])),
            ("Environment", " ".join(f"{name}={value}" for name, value in _own_environment(instance) if value)),
            ("EnvironmentFile", environment_path(instance["name"])),
            # + : as root, because leftovers may be another user's
            ("ExecStartPre", "+" + command_line(stale_workers_command(instance))),
            ("ExecStart", command_line(command(instance))),
            # SIGTERM for the main process alone: its children finish their tasks.
            ("KillMode", "mixed"),
            # systemd counts ExecStartPre= in.
            ("TimeoutStartSec", _plus(instance["start_timeout"], instance["stale_workers_timeout"])),
            ("TimeoutStopSec", f"{stop_timeout(instance):g}"),
            ("TimeoutAbortSec", ABORT_TIMEOUT),
            ("Restart", instance["restart"]),
            ("RestartSec", instance["restart_sec"]),
            ("WatchdogSec", instance["watchdog"] if parse_duration(instance["watchdog"]) else None),
            ("MemoryHigh", instance["memory_high"]),
            ("MemoryMax", instance["memory_max"]),
            ("MemorySwapMax", instance["memory_swap_max"]),
            ("OOMPolicy", instance["oom_policy"]),
            ("OOMScoreAdjust", instance["oom_score_adj"]),
            *sorted((name, value) for name, value in instance["sandbox"].items() if value is not False),
            ("ReadWritePaths", " ".join(map(_word, _writable_paths(instance)))),
        ],
        "Install": [("WantedBy", "multi-user.target")],
    }
    blocks = [f"[{name}]\n" + "".join(_lines(settings)) for name, settings in sections.items()]
    return f"{MARKER}: the next run overwrites changes made here.\n\n" + "\n".join(blocks)


def _writable_paths(instance: Instance) -> list[str]:
    # The host's /tmp, where a worker without one of its own goes, would be read-only too.
    shared = ["/tmp", "/var/tmp"] if instance["sandbox"].get("PrivateTmp") is False else []  # noqa: S108
    return [*instance["writable_paths"], *shared]


def environment(instance: Instance) -> str:
    """The environment file in the grammar of EnvironmentFile=, systemd.exec(5)."""
    variables = {name: str(value) for name, value in instance["environment"].items() if value is not None}
    if "PYTHONPATH" in variables:
        # The file's value wins over the unit's: the watchdog must stay within reach.
        variables["PYTHONPATH"] = f"{variables['PYTHONPATH']}:{program_directory(instance['name'])}"
    lines = [f'{name}="{_escape(value)}"\n' for name, value in sorted(variables.items())]
    return f"{MARKER}: the next run overwrites changes made here.\n" + "".join(lines)


def _own_environment(instance: Instance) -> list[tuple[str, str | None]]:
    return [
        ("PYTHONPATH", program_directory(instance["name"])),
        ("PYTHONUNBUFFERED", "1"),
        # A hung worker's traceback goes to the journal when the watchdog ends it.
        ("PYTHONFAULTHANDLER", "1"),
        ("EVENKEEL_HAND_BACK", hand_back(instance)),
    ]


def command_line(arguments: Iterable[str]) -> str:
    """One Exec line: no shell reads it, but systemd expands $ and % and splits at blanks (systemd.service(5))."""
    return " ".join(_word(str(argument).replace("$", "$$")) for argument in arguments)


def specifiers(text: str) -> str:
    """Text in which systemd expands no specifier."""
    return text.replace("%", "%%")


def _word(text: str) -> str:
    text = specifiers(text)
    if re.fullmatch(r"[\w@%+=:,./()\[\]{}$-]+", text, re.ASCII):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _escape(value: str) -> str:
    return re.sub(r'(["\\`$])', r"\\\1", value)


def _lines(settings: Iterable[tuple[str, Any]]) -> list[str]:
    return [f"{name}={_value(value)}\n" for name, value in settings if value not in (None, "") or name in _EMPTY_MEANS]


# An empty value says something here: no capability at all.
_EMPTY_MEANS = ("CapabilityBoundingSet", "AmbientCapabilities")


def _value(value: Any) -> str:
    if value is True:
        return "yes"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _seconds(duration: Any) -> int | None:
    return None if duration is None else round(parse_duration(duration))


def _kib(size: Any) -> int | None:
    """Celery counts a child's memory in KiB (worker_max_memory_per_child)."""
    return None if size is None else parse_size(size) // 1024


def _plus(*durations: Any) -> str:
    return f"{sum(map(parse_duration, durations)):g}"
