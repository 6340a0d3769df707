# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and durations as people and systemd write them."""

from __future__ import annotations

import re
from decimal import Decimal

from .texts import printable

_NUMBER = r"([0-9]{1,20}(?:\.[0-9]{1,20})?)(?![0-9.])"
_SIZE = re.compile(_NUMBER + " *([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_POWER = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}

# systemd.time(7); a bare number is seconds.
_UNIT = {
    1e-3: ("ms", "msec"),
    1: ("", "s", "sec", "second", "seconds"),
    60: ("m", "min", "minute", "minutes"),
    3600: ("h", "hr", "hour", "hours"),
    86400: ("d", "day", "days"),
    604800: ("w", "week", "weeks"),
}
_SECONDS = {name: seconds for seconds, names in _UNIT.items() for name in names}
_DURATION = re.compile(_NUMBER + " *([a-z]*) *")
MOST_BYTES = 2**63 - 1  # what the kernel counts
LONGEST = 36500 * 86400  # seconds; far below what systemd and Python count


def parse_size(text: object) -> int:
    """Bytes of a size such as 500M, 2G, 1.5GiB or 1048576, in powers of 1024 as in systemd. Raises ValueError."""
    found = _SIZE.fullmatch(str(text).strip())
    if not found:
        raise ValueError(f"{_shown(text)} is not a size: write a number with K, M, G or T, such as 500M or 2G")
    number, unit = found.groups()
    size = int(Decimal(number) * 1024 ** _POWER[unit.upper()])
    if size > MOST_BYTES:
        raise ValueError(f"{_shown(text)} is too large: write at most 8388607T")
    return size


def parse_duration(text: object) -> float:
    """Seconds of a duration such as 30m, 5min, '1h 30min' or 300, as in systemd.time(7). Raises ValueError."""
    rest = str(text).strip()
    parts = _DURATION.findall(rest)
    if not parts or _DURATION.sub("", rest) or any(unit not in _SECONDS for number, unit in parts):
        raise ValueError(f"{_shown(text)} is not a duration: write 300 (seconds), 30s, 5min, 2h or '1h 30min'")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > LONGEST:
        raise ValueError(f"{_shown(text)} is too long: write at most 36500d")
    return seconds


def _shown(text: object) -> str:
    return f"'{printable(text, 80)}'"


def format_size(size: int) -> str:
    """The shortest exact way to write a number of bytes: 2G, 500M, 1500K or 12345."""
    for unit in "TGMK":
        if size and size % 1024 ** _POWER[unit] == 0:
            return f"{size // 1024 ** _POWER[unit]}{unit}"
    return str(size)


def format_duration(seconds: float) -> str:
    """A number of seconds in its two largest units, as systemd writes it: 2h 30min, 1min 30s, 5s."""
    rest, parts = round(seconds), []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
