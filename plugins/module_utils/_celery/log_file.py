# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's log file, which it may have beside the journal: where it is."""

from __future__ import annotations

from pathlib import Path

from .options import Instance

MODULE = "evenkeel_log_file"  # the module that writes it, loaded by those of command.py


def path(instance: Instance) -> str | None:
    """None: the service has only the journal."""
    if instance["log_file"] is True:
        return f"/var/log/{logs_directory(instance)}/{instance['name']}.log"
    return instance["log_file"] or None


def logs_directory(instance: Instance) -> str | None:
    """The directory that systemd makes for it, below /var/log: systemd.exec(5), LogsDirectory=.

    Each service has one of its own, as systemd gives the whole directory to the user of the unit that starts.
    """
    return f"evenkeel/{instance['name']}" if instance["log_file"] is True else None


def other_directory(instance: Instance) -> str | None:
    """The directory of a file that is elsewhere, which has to be there already."""
    return str(Path(path(instance)).parent) if path(instance) and not logs_directory(instance) else None


def writable_paths(instance: Instance) -> list[str]:
    """The option of this name, and the directory of a log file that is elsewhere."""
    directory = other_directory(instance)
    return [*instance["writable_paths"], *([directory] if directory else [])]
