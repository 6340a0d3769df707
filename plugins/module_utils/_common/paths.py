# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where our files are on a managed host, and the line that marks them. Root owns all of these directories."""

from __future__ import annotations

MARKER = "# Managed by evenkeel.celery"
UNITS = "/etc/systemd/system"
CONFIGURATION = "/etc/evenkeel"
PROGRAMS = "/usr/local/lib/evenkeel"
STATE = "/var/lib/evenkeel"
RUN = "/run/evenkeel"
LOGROTATE = "/etc/logrotate.d"


def unit_path(service: str) -> str:
    return f"{UNITS}/{service}.service"


def environment_path(service: str) -> str:
    return f"{CONFIGURATION}/{service}.env"


def logrotate_path(service: str) -> str:
    """With a suffix, as logrotate ignores files that end like copies: a service may be called shop.bak."""
    return f"{LOGROTATE}/evenkeel-{service}.conf"


def program_directory(service: str) -> str:
    """Each service has its own programs, so that one can be rolled back without the others."""
    return f"{PROGRAMS}/{service}"


def is_public(path: str) -> bool:
    """Whether it is a directory of ours that all users may enter, as workers and cron's users read files in it."""
    return path in (CONFIGURATION, PROGRAMS, STATE, f"{STATE}/job_cleanup") or path.startswith(f"{PROGRAMS}/")
