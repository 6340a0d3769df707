# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parses and writes timestamps, including SQLite's Julian days."""

from __future__ import annotations

from datetime import timezone, tzinfo
from typing import Any

from ... import times

# 1980 to 2200: a REAL between these is SQLite's julianday(), as an epoch in seconds it would be in January 1970.
_JULIAN = (2444239.5, 2524593.5)
_JULIAN_EPOCH = 2440587.5


def parse_time(value: Any, zone: tzinfo = timezone.utc) -> float | None:
    """Epoch seconds of a Julian day as a REAL, or of any other timestamp that applications store; else None."""
    if _is_julian(value):
        return (value - _JULIAN_EPOCH) * 86400
    return times.parse_time(value, zone)


def write_time(seconds: float, like: Any, zone: tzinfo = timezone.utc) -> Any:
    """A time as a Julian day if `like` is one, else as times.write_time has it."""
    return seconds / 86400 + _JULIAN_EPOCH if _is_julian(like) else times.write_time(seconds, like, zone)


def _is_julian(value: Any) -> bool:
    return isinstance(value, float) and _JULIAN[0] <= value < _JULIAN[1]
