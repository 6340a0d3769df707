# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit that ends stale workers or beats before each start of a service, and how its unit depends on it.

It is a unit of its own because it runs as root: nothing of the service's environment reaches it. The service wants it,
so systemd starts it before every start of the service, also after a crash. While a stale process still runs, it leaves
a file that says so. The service's start then fails and is repeated, as Restart= has it. It would not be repeated after
a dependency that failed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._celery.options import SANDBOX, Instance, node_name
from .._common.paths import RUN, program_directory
from .._common.quantities import parse_duration
from .unit_text import Sections, command_line, text

PROGRAM = "stale_workers.py"
PREFIXES = {kind: f"evenkeel-stale-{kind}s-" for kind in ("worker", "beat")}  # of the names of these units

# Seconds that the program may take beside the wait for stale processes: to find them, and to see killed ones end.
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


def search_name(instance: Instance) -> str:
    return f"{PREFIXES[instance['kind']]}{instance['name']}"


def reason_path(instance: Instance) -> str:
    """The file that says why the service must not start; without it, it may."""
    return f"{RUN}/{instance['name']}.stale-{instance['kind']}s"


def before_start(instance: Instance) -> list[str]:
    """The service's ExecStartPre=: shows the reason and fails if there is one. It runs as the service's user."""
    return ["/bin/sh", "-c", f"! /bin/cat {reason_path(instance)} 2>/dev/null"]


def handling(instance: Instance) -> tuple[str, list[str], str]:
    """What each start does with stale processes: the action, the further users, and the time-out."""
    option = f"stale_{instance['kind']}s"
    return instance[option], instance[f"{option}_users"], instance[f"{option}_timeout"]


def search_unit(instance: Instance) -> str:
    """The text of the unit."""
    return text(_sections(instance))


def _sections(instance: Instance) -> Sections:
    name = instance["name"]
    _action, _users, timeout = handling(instance)
    return {
        "Unit": [
            ("Description", f"Search for stale {instance['kind']}s of {name}"),
            ("After", " ".join(["network-online.target", *instance["after"]])),
            ("StartLimitIntervalSec", 0),
        ],
        "Service": [
            ("Type", "oneshot"),
            ("ExecStart", command_line(_command(instance))),
            ("TimeoutStartSec", f"{parse_duration(timeout) + MARGIN:g}"),
            ("RuntimeDirectory", Path(RUN).name),
            ("RuntimeDirectoryPreserve", True),
            # `journalctl -u` of the service shows its messages, too.
            ("LogExtraFields", f"OBJECT_SYSTEMD_UNIT={name}.service"),
            *sorted(SEARCH_SANDBOX.items()),
        ],
    }


def wanted(instance: Instance) -> dict[str, Any]:
    """Which processes are this service's, as stale_workers.py takes it."""
    _action, users, _timeout = handling(instance)
    return {
        "kind": instance["kind"],
        "app": instance["app"],
        "directory": instance["directory"],
        "node": node_name(instance) if instance["kind"] == "worker" else "",
        "users": [instance["user"], *users],
    }


def _command(instance: Instance) -> list[str]:
    search = wanted(instance)
    action, _users, timeout = handling(instance)
    return [
        # Isolated, and without site-packages: root's Python loads nothing but its own library.
        *("/usr/bin/python3", "-I", "-S", f"{program_directory(instance['name'])}/{PROGRAM}"),
        *(f"--{option}={search[option]}" for option in ("kind", "app", "directory", "node") if search[option]),
        *(f"--user={user}" for user in search["users"]),
        f"--timeout={parse_duration(timeout):g}",
        f"--action={action}",
        f"--reason={reason_path(instance)}",
    ]
