# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and times in words for people. All times are in UTC."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

MINUTE, HOUR, DAY = 60, 3600, 86400
_SIZES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
_LATEST = 253402300799  # the end of the year 9999


def size(number: float | None) -> str:
    """Bytes, such as 1.5 GiB, 83 MiB."""
    if number is None:
        return "–"
    for unit, factor in _SIZES:
        if number >= factor:
            decimals = 1 if unit == "GiB" and number < 10 * factor else 0
            return f"{number / factor:.{decimals}f} {unit}"
    return f"{number:.0f} B"


def span(seconds: float) -> str:
    """A duration, rounded: 3 d, 23 h, 12 min, 45 s, 2.5 s, 31 ms."""
    if seconds >= 2 * DAY:
        return f"{seconds / DAY:.0f} d"
    for unit, factor in (("h", HOUR), ("min", MINUTE)):
        if seconds >= 2 * factor or seconds == factor:
            return f"{seconds / factor:.0f} {unit}"
    if seconds >= 10 or not seconds:
        return f"{seconds:.0f} s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def when(moment: float | None, now: float) -> str:
    """A moment seen from now: 03:24 of today, Mon 23, 12:41 of the last weeks, 4 Jan 2026 of before."""
    if moment is None:
        return "–"
    there = time.gmtime(min(moment, _LATEST))
    if there[:3] == time.gmtime(now)[:3]:
        return f"today, {time.strftime('%H:%M', there)}"
    if abs(now - moment) < 20 * DAY:
        return time.strftime("%a %d, %H:%M", there)
    return f"{there.tm_mday} {time.strftime('%b %Y', there)}"


def moment(now: float) -> str:
    """Friday 27 November 2026, 03:44 UTC"""
    return time.strftime("%A %-d %B %Y, %H:%M UTC", time.gmtime(min(now, _LATEST)))


def for_journalctl(at: float) -> str:
    """2026-11-20 03:44:58 UTC, as its --since takes it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(min(at, _LATEST)))


def day(at: float) -> str:
    return time.strftime("%a %d", time.gmtime(min(at, _LATEST)))


def count(number: int, word: str, words: str = "") -> str:
    """1 task, 2 tasks, 12 345 tasks"""
    return f"{grouped(number)} {word if number == 1 else words or word + 's'}"


def grouped(number: int | None) -> str:
    """12 345, with a narrow space that doesn't break."""
    return "–" if number is None else f"{number:,}".replace(",", "\u202f")


_BEGIN, _END = "\u2068", "\u2069"  # Unicode's first strong isolate, and its end


def isolated(name: str) -> str:
    """A name in a sentence. One that is written from right to left does not turn the words beside it."""
    return f"{_BEGIN}{name}{_END}"


def plain(text: str) -> str:
    """The text for a terminal or a program, without the marks of isolated()."""
    return text.replace(_BEGIN, "").replace(_END, "")


def names(texts: Iterable[str], most: int = 3) -> str:
    return listed([isolated(text) for text in texts], most)


def listed(texts: Sequence[str], most: int = 3) -> str:
    """a, b and c; or a, b, c and 4 others."""
    texts = list(texts)
    if len(texts) > most + 1:
        texts = [*texts[:most], f"{len(texts) - most} others"]
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
