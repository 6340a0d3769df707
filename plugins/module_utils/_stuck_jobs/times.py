# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parses and writes the timestamps of applications, and formats ages."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone, tzinfo
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

_EPOCH_TEXT = re.compile(r"(\d{10}|\d{13})(\.\d+)?|\d{16}|\d{19}", re.ASCII)
_ISO = re.compile(
    r"(?P<day>\d{4}(?P<dash>[-/])\d\d(?P=dash)\d\d)[T ](?P<minute>\d\d:\d\d)(?P<second>:\d\d)?([.,](?P<fraction>\d+))?"
    r"\s*(?P<utc>Z|UTC|GMT)?((?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?)?(?P<name>.*)",
    re.IGNORECASE | re.ASCII,
)
# The zone's name after its offset, which alone counts, as Go (+0000 UTC, +0545 +0545) and Java (Z[UTC]) write it.
_NAME = re.compile(r"\s[A-Z]{3,5}|\s[+-]\d{2,4}|\[[\w/+-]+\]")
_MONOTONIC = re.compile(r"\sm=[+-]\d+\.\d+$")  # the other clock of a Go program
_HTTP = re.compile(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (GMT|(?!-0000)[+-]\d{4})")  # and e-mail
_SCALES = (1, 1_000, 1_000_000, 1_000_000_000)  # of epochs in s, ms, µs and ns
_EARLIEST = 315_532_800  # 1980: earlier times, such as 0001 and 1970, mean "never" in some programs
_LATEST = 253_402_300_799  # the end of 9999, which means "never" too; a zone may put it into the year 10000


class Clock:
    """The time from which ages are counted (`begun`, in epoch seconds), and the current time relative to it.

    It is started before the workers are asked: a job that a worker began later, and that is in no answer, must look
    young.
    """

    def __init__(self, begun: float | None = None, ahead: float | None = None) -> None:
        real = time.time()
        self.begun = real if begun is None else begun
        self._ahead = self.begun - real if ahead is None else ahead

    def now(self) -> float:
        return time.time() + self._ahead

    def ahead_by(self, seconds: float) -> Clock:
        """This clock as a computer shows it whose own is so many seconds ahead of ours."""
        return Clock(self.begun + seconds, self._ahead + seconds)


def parse_zone(name: str) -> tzinfo:
    """A zone of the tz database, by its name. Raises ValueError."""
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"{name!r} is not a time zone of this host: set UTC or one such as Europe/Berlin") from None


def parse_time(value: Any, zone: tzinfo = timezone.utc) -> float | None:
    """The epoch seconds of a timestamp as applications store it, or None if there is any doubt about it.

    ISO 8601 with T or space, fraction, Z or offset (without one it is in the zone), also with slashes in the date and
    with the zone's name after the offset, as Go and Java have it; HTTP dates; epochs in s, ms, µs or ns, told apart by
    their 10, 13, 16 or 19 digits. Other numbers, such as 202601181030, may be dates in disguise and tell no age.
    """
    if isinstance(value, str):
        text = value.strip()
        # No other forms of ISO 8601, such as week dates, which only some Pythons read and which we would not write.
        if text[4:5] in ("-", "/") and text[7:8] == text[4:5] and text[10:11] in ("T", " ", "t") and text[13:14] == ":":
            return _seconds(_iso_moment(text), zone)
        if _HTTP.fullmatch(text):
            return _seconds(_http_moment(text), zone)
        value = float(text) if _EPOCH_TEXT.fullmatch(text) else None
    if isinstance(value, (int, float)):
        for scale in _SCALES:
            if 1e9 * scale <= value < 1e10 * scale:
                return value / scale
    return None


def _seconds(moment: datetime | None, zone: tzinfo) -> float | None:
    if moment is None:
        return None
    # An hour that occurs twice, at the end of summer time, is taken as the later one: no job looks older than it is.
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=zone, fold=1)).timestamp()
    return min(seconds, _LATEST) if seconds >= _EARLIEST else None


def _iso_moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)  # fast, but before Python 3.11 without Z and short fractions
    except ValueError:
        found = _iso(text)
    if not found:
        return None
    try:
        moment = datetime.fromisoformat(f"{found['day'].replace('/', '-')}T{found['minute']}{found['second'] or ':00'}")
        offset = timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0))
        zone = timezone(-offset if found["sign"] == "-" else offset) if found["utc"] or found["sign"] else None
    except ValueError:
        return None
    return moment.replace(microsecond=int((found["fraction"] or "0")[:6].ljust(6, "0")), tzinfo=zone)


def _iso(text: str) -> re.Match[str] | None:
    """The parts of a time that is written like ISO 8601."""
    found = _ISO.fullmatch(_MONOTONIC.sub("", text))
    if not found or (found["utc"] and found["sign"]):
        return None
    if found["name"] and not ((found["utc"] or found["sign"]) and _NAME.fullmatch(found["name"])):
        return None
    return found


def _http_moment(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None


def write_time(seconds: float, like: Any, zone: tzinfo = timezone.utc) -> Any:
    """A time as an application would store it, by another timestamp of its; None if that one can't be parsed.

    Type, unit, digits of the fraction and offset are the same. It is rounded down, and so never in the future.
    """
    if parse_time(like, zone) is None:
        return None
    if not isinstance(like, str):
        scale = next(scale for scale in _SCALES if like / scale < 1e10)
        return int(seconds * 1e6) * scale // 1_000_000 if isinstance(like, int) else seconds * scale
    text = like.strip()
    if _EPOCH_TEXT.fullmatch(text):
        return _epoch_text(seconds, text)
    return _http_text(seconds, text) if _HTTP.fullmatch(text) else _iso_text(seconds, text, zone)


def _epoch_text(seconds: float, like: str) -> str:
    whole, point, fraction = like.partition(".")
    digits = str(int(seconds * 1e6)).ljust(len(whole) + len(fraction), "0")
    return digits[: len(whole)] + point + digits[len(whole) :][: len(fraction)]


def _iso_text(seconds: float, like: str, zone: tzinfo) -> str:
    found, stored = _iso(like), _iso_moment(like)
    if not found or not stored:
        return iso_time(seconds, zone)
    moment = datetime.fromtimestamp(seconds, stored.tzinfo or zone)
    text = moment.strftime("%Y-%m-%d").replace("-", found["dash"]) + like[10]
    text += moment.strftime("%H:%M:%S" if found["second"] else "%H:%M")
    if found["fraction"]:
        point, digits = like[found.start("fraction") - 1], len(found["fraction"])
        text += point + f"{moment.microsecond:06}".ljust(digits, "0")[:digits]
    return text + found.string[max(map(found.end, ("minute", "second", "fraction"))) :]  # the same offset


def _http_text(seconds: float, like: str) -> str:
    moment = datetime.fromtimestamp(seconds, _http_moment(like).tzinfo)
    return format_datetime(moment, usegmt=like.endswith("GMT"))


def utc_time(seconds: float) -> str:
    """2026-01-18T12:00:00Z."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def iso_time(seconds: float, zone: tzinfo = timezone.utc) -> str:
    """2026-01-18 12:00:00+00:00, with its offset, so that no zone of a server's is taken for ours."""
    return datetime.fromtimestamp(seconds, zone).isoformat(" ", "seconds")


def span(seconds: float) -> str:
    """A duration as 3 d 4 h, 2 h 5 min, 31 min or 12 s."""
    days, hours, minutes = int(seconds // 86400), int(seconds // 3600 % 24), int(seconds // 60 % 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"
