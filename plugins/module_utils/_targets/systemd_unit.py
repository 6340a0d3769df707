# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker's systemd unit and its environment file.

Pure: turns an instance, a dictionary of the options in _celery/options.py, into text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .._celery.command import command, hand_back, stop_timeout
from .._celery.options import Instance, node_name
from .._common.paths import MARKER, PROGRAMS, environment_path, program_directory
from .._common.quantities import parse_duration

STALE_WORKERS = f"{PROGRAMS}/stale_workers.py"

# Seconds that a hung worker has after the watchdog's SIGABRT to write its traceback, before it is killed.
ABORT_TIMEOUT = 10


Settings = list[tuple[str, Any]]  # directives and their values; None or an empty text: leave it out


def unit(instance: Instance) -> str:
    """The text of the unit."""
    blocks = [f"[{name}]\n" + "".join(lines(settings)) for name, settings in sections(instance).items()]
    return f"{MARKER}: the next run overwrites changes made here.\n\n" + "\n".join(blocks)


def sections(instance: Instance) -> dict[str, Settings]:
    """The unit's sections: systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.resource-control(5)."""
    after = " ".join(["network-online.target", *instance["after"]])
    return {
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
            # +: runs as root, because stale workers may belong to another user
            ("ExecStartPre", "+" + command_line(stale_workers_command(instance))),
            ("ExecStart", command_line(command(instance))),
            # Only the main process gets SIGTERM, so its children finish their tasks.
            ("KillMode", "mixed"),
            # This includes the time of ExecStartPre=.
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


def stale_workers_command(instance: Instance) -> list[str]:
    """How stale_workers.py is called for this worker."""
    # Isolated (-I): neither the unit's environment nor the working directory may change what root runs.
    line = ["/usr/bin/python3", "-I", STALE_WORKERS]
    line += ["--app", instance["app"], "--directory", instance["directory"], "--node", node_name(instance)]
    for user in [instance["user"], *instance["stale_workers_users"]]:
        line += ["--user", user]
    timeout = parse_duration(instance["stale_workers_timeout"])
    return [*line, "--timeout", f"{timeout:g}", "--action", instance["stale_workers"]]


def _writable_paths(instance: Instance) -> list[str]:
    # Without PrivateTmp=, the worker uses the host's /tmp, which ProtectSystem=strict makes read-only.
    shared = ["/tmp", "/var/tmp"] if instance["sandbox"].get("PrivateTmp") is False else []  # noqa: S108
    return [*instance["writable_paths"], *shared]


def environment(instance: Instance) -> str:
    """The environment file in the grammar of EnvironmentFile=, systemd.exec(5)."""
    variables = {name: str(value) for name, value in instance["environment"].items() if value is not None}
    if "PYTHONPATH" in variables:
        # The file's value overrides the unit's, so it needs the watchdog's directory too.
        variables["PYTHONPATH"] = f"{variables['PYTHONPATH']}:{program_directory(instance['name'])}"
    lines = [f'{name}="{_escape(value)}"\n' for name, value in sorted(variables.items())]
    return f"{MARKER}: the next run overwrites changes made here.\n" + "".join(lines)


def _own_environment(instance: Instance) -> list[tuple[str, str | None]]:
    return [
        ("PYTHONPATH", program_directory(instance["name"])),
        ("PYTHONUNBUFFERED", "1"),
        # SIGABRT from the watchdog writes a hung worker's traceback to the journal.
        ("PYTHONFAULTHANDLER", "1"),
        ("EVENKEEL_HAND_BACK", hand_back(instance)),
    ]


def command_line(arguments: Iterable[str]) -> str:
    """One Exec line. No shell reads it, but systemd expands $ and % and splits at white space (systemd.service(5))."""
    return " ".join(_word(str(argument).replace("$", "$$")) for argument in arguments)


def specifiers(text: str) -> str:
    """The text with % escaped, as systemd expands specifiers."""
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


def lines(settings: Iterable[tuple[str, Any]]) -> list[str]:
    """The settings as a unit file has them."""
    return [f"{name}={_value(value)}\n" for name, value in settings if value not in (None, "") or name in _EMPTY_MEANS]


# An empty value has a meaning here: no capabilities at all.
_EMPTY_MEANS = ("CapabilityBoundingSet", "AmbientCapabilities")


def _value(value: Any) -> str:
    if value is True:
        return "yes"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _plus(*durations: Any) -> str:
    return f"{sum(map(parse_duration, durations)):g}"
