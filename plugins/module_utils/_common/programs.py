# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where root finds the programs that it runs: never along the caller's PATH, which may begin with an application's."""

from __future__ import annotations

import shutil

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # in which only root can put programs

# The environment of each program that we run as root. With it, `subprocess` looks for the program in PATH too.
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C.UTF-8"}


def find(name: str) -> str | None:
    """The path of a system program; None if it is not installed."""
    return shutil.which(name, path=PATH)
