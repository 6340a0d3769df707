# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's systemd unit and its environment file.

Pure: turns an instance, a dictionary of the options in _celery/options.py, into text.
"""

from __future__ import annotations

import re

from .._celery.command import command, hand_back, state_directory, stop_timeout
from .._celery.options import Instance
from .._common.paths import MARKER, environment_path, program_directory
from .._common.quantities import parse_duration
from .stale_workers import before_start, search_name
from .unit_text import Sections, Settings, command_line, specifiers, text, word

# Seconds that a hung service has after the watchdog's SIGABRT to write its traceback, before it is killed.
ABORT_TIMEOUT = 10

# A schedule needs the right time.
_TIME = {"worker": [], "beat": ["time-sync.target"]}


def unit(instance: Instance) -> str:
    """The text of the unit."""
    return text(sections(instance))


def sections(instance: Instance) -> Sections:
    """The unit's sections: systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.resource-control(5)."""
    wants = ["network-online.target", f"{search_name(instance)}.service", *instance["after"]]
    return {
        "Unit": [
            ("Description", specifiers(_description(instance))),
            ("Wants", " ".join(wants)),
            ("After", " ".join([*wants, *_TIME[instance["kind"]]])),
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
            ("ExecStartPre", command_line(before_start(instance))),
            ("ExecStart", command_line(command(instance))),
            # Only the main process gets SIGTERM, so a worker's children finish their tasks.
            ("KillMode", "mixed"),
            ("TimeoutStartSec", instance["start_timeout"]),
            ("TimeoutStopSec", f"{stop_timeout(instance):.12g}"),
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
            ("ReadWritePaths", " ".join(map(word, _writable_paths(instance)))),
            *_state(instance),
        ],
        "Install": [("WantedBy", "multi-user.target")],
    }


def _state(instance: Instance) -> Settings:
    if instance["kind"] != "beat":
        return []
    return [("StateDirectory", specifiers(state_directory(instance))), ("StateDirectoryMode", "0700")]


def _writable_paths(instance: Instance) -> list[str]:
    # Without PrivateTmp=, the service uses the host's /tmp, which ProtectSystem=strict makes read-only.
    shared = ["/tmp", "/var/tmp"] if instance["sandbox"].get("PrivateTmp") is False else []  # noqa: S108
    return [*instance["writable_paths"], *shared]


def environment(instance: Instance) -> str:
    """The environment file in the grammar of EnvironmentFile=, systemd.exec(5)."""
    variables = {name: str(value) for name, value in instance["environment"].items() if value is not None}
    if "PYTHONPATH" in variables:
        # The file's value overrides the unit's, so it needs the directory of our programs too.
        variables["PYTHONPATH"] = f"{variables['PYTHONPATH']}:{program_directory(instance['name'])}"
    lines = [f'{name}="{_escape(value)}"\n' for name, value in sorted(variables.items())]
    return f"{MARKER}: the next run overwrites changes made here.\n" + "".join(lines)


def _own_environment(instance: Instance) -> list[tuple[str, str | None]]:
    return [
        ("PYTHONPATH", program_directory(instance["name"])),
        ("PYTHONUNBUFFERED", "1"),
        # SIGABRT from the watchdog writes a hung service's traceback to the journal.
        ("PYTHONFAULTHANDLER", "1"),
        *_for_our_program(instance),
    ]


def _for_our_program(instance: Instance) -> list[tuple[str, str | None]]:
    if instance["kind"] == "beat":
        return [("EVENKEEL_LOCK", "1" if instance["lock"] else None)]
    return [("EVENKEEL_HAND_BACK", hand_back(instance))]


def _description(instance: Instance) -> str:
    one_line = " ".join((instance["description"] or "").split())
    return one_line or f"Celery {instance['kind']} {instance['name']}"


def _escape(value: str) -> str:
    return re.sub(r'(["\\`$])', r"\\\1", value)
