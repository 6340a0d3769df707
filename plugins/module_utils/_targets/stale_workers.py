# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit that ends stale workers before each start of a worker, and how the worker's unit depends on it.

It is a unit of its own because it runs as root: nothing of the worker's environment reaches it. The worker wants it,
so systemd starts it before every start of the worker, also after a crash. While a stale worker still runs, it leaves a
file that says so. The worker's start then fails and is repeated, as Restart= has it. It would not be repeated after a
dependency that failed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._celery.options import SANDBOX, Instance, node_name
from .._common.paths import RUN, program_directory
from .._common.quantities import parse_duration
from .unit_text import Sections, command_line, text

PROGRAM = "stale_workers.py"
PREFIX = "evenkeel-stale-workers-"  # of the names of these units

# Seconds that the program may take beside the wait for stale workers: to find them, and to see killed ones end.
MARGIN = 30

# What a worker may do, but for all processes, and without the network.
SEARCH_SANDBOX = {
    **SANDBOX,
    "CapabilityBoundingSet": [
        "CAP_DAC_READ_SEARCH",  # the path of the application's directory may lead through private directories
        "CAP_KILL",
        "CAP_SYS_PTRACE",  # to see where other users' processes run
    ],
    "MemoryDenyWriteExecute": True,
    "MemoryMax": "128M",
    "PrivateNetwork": True,
    "ProtectProc": "default",
    "RestrictAddressFamilies": "AF_UNIX",  # where the system asks for users' names
    "TasksMax": 8,
}


def search_name(service: str) -> str:
    return f"{PREFIX}{service}"


def reason_path(service: str) -> str:
    """The file that says why the worker must not start; without it, it may."""
    return f"{RUN}/{service}.stale-workers"


def before_start(service: str) -> list[str]:
    """The worker's ExecStartPre=: shows the reason and fails if there is one. It runs as the worker's user."""
    return ["/bin/sh", "-c", f"! /bin/cat {reason_path(service)} 2>/dev/null"]


def search_unit(instance: Instance) -> str:
    """The text of the unit."""
    return text(_sections(instance))


def _sections(instance: Instance) -> Sections:
    name = instance["name"]
    timeout = parse_duration(instance["stale_workers_timeout"])
    return {
        "Unit": [
            ("Description", f"Search for stale workers of {name}"),
            ("After", " ".join(["network-online.target", *instance["after"]])),
            ("StartLimitIntervalSec", 0),
        ],
        "Service": [
            ("Type", "oneshot"),
            ("ExecStart", command_line(_command(instance))),
            ("TimeoutStartSec", f"{timeout + MARGIN:g}"),
            ("RuntimeDirectory", Path(RUN).name),
            ("RuntimeDirectoryPreserve", True),
            # `journalctl -u` of the worker shows its messages, too.
            ("LogExtraFields", f"OBJECT_SYSTEMD_UNIT={name}.service"),
            *sorted(SEARCH_SANDBOX.items()),
        ],
    }


def wanted(instance: Instance) -> dict[str, Any]:
    """Which workers are this one's, as stale_workers.py takes it."""
    return {
        "app": instance["app"],
        "directory": instance["directory"],
        "node": node_name(instance),
        "users": [instance["user"], *instance["stale_workers_users"]],
    }


def _command(instance: Instance) -> list[str]:
    search = wanted(instance)
    return [
        # Isolated, and without site-packages: root's Python loads nothing but its own library.
        *("/usr/bin/python3", "-I", "-S", f"{program_directory(instance['name'])}/{PROGRAM}"),
        *(f"--{option}={search[option]}" for option in ("app", "directory", "node")),
        *(f"--user={user}" for user in search["users"]),
        f"--timeout={parse_duration(instance['stale_workers_timeout']):g}",
        f"--action={instance['stale_workers']}",
        f"--reason={reason_path(instance['name'])}",
    ]
