# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of a service's files: those of ours can be entered by all users."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .._common import files


def reopen(service_paths: Iterable[str]) -> None:
    """Directories of ours that somebody's umask has closed get their modes again, also for files that don't change."""
    for directory in {Path(path).parent for path in service_paths}:
        if directory.is_dir():
            files.make_directory(directory)
