# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployed unit says of its service: systemd_unit.py read backwards."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from .._celery.command import STOP_MARGIN
from .._common import files
from .._common.paths import MARKER, unit_path
from .._common.quantities import parse_duration, parse_size

_LONGEST = 2**20  # bytes


@dataclass(frozen=True)
class Deployed:
    """A service by its unit; empty if that is not there, or not ours."""

    app: str = ""
    directory: str = ""
    memory_max: int | None = None  # bytes
    time_limit: float = 0  # seconds of the hard time limit of tasks for which it has the time to stop


def has_beat(unit: str) -> bool:
    """Whether a unit runs a worker with a beat in it (-B)."""
    one_line = unit.replace("\\\n", " ")
    return bool(re.search(r"^ExecStart=.*\sworker\s(.*\s)?(-E*B\S*|--beat)(\s|$)", one_line, re.MULTILINE))


def deployed(name: str) -> Deployed:
    """The service of this name."""
    path = Path(unit_path(name))
    try:
        # A link is an original unit, whose file may be anybody's.
        return Deployed() if path.is_symlink() else read(files.read_start(path, _LONGEST).decode(errors="replace"))
    except OSError:
        return Deployed()


def read(unit: str) -> Deployed:
    """The service of this unit."""
    if MARKER not in unit:
        return Deployed()
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    return Deployed(
        app=_app(settings.get("ExecStart", "")),
        directory=settings.get("WorkingDirectory", "").replace("%%", "%"),
        memory_max=_bytes(settings.get("MemoryMax", "")),
        time_limit=_time_limit(settings.get("TimeoutStopSec", "")),
    )


def _app(command: str) -> str:
    try:
        words = shlex.split(command)
        return words[words.index("-A") + 1].replace("$$", "$").replace("%%", "%")
    except (ValueError, IndexError):  # somebody has changed it by hand
        return ""


def _time_limit(stop: str) -> float:
    try:
        return max(0, parse_duration(stop) - STOP_MARGIN)
    except ValueError:
        return 0


def _bytes(size: str) -> int | None:
    try:
        return parse_size(size)
    except ValueError:
        return None
