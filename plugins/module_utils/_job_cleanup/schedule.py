# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of a schedule, crontab(5). Cron itself ignores a file with a wrong one, and says so only in its log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import printable

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# The smallest and the largest number of each field, and the names that stand for numbers.
_FIELDS: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "minute": (0, 59, ()),
    "hour": (0, 23, ()),
    "day": (1, 31, ()),
    "month": (1, 12, _MONTHS),
    "weekday": (0, 7, _DAYS),
}
_PART = re.compile(r"(?:\*|(\w{1,3})(?:-(\w{1,3}))?)(?:/(\d{1,3}))?", re.ASCII)


def schedule_errors(schedule: Mapping[str, str | None]) -> Iterator[str]:
    """The errors in a schedule, each a sentence."""
    for field, (least, most, names) in _FIELDS.items():
        value = schedule.get(field)
        if value is None or all(_is_part(part, least, most, names) for part in value.split(",")):
            continue
        yield (
            f"cron_schedule: {field} {value!r} is not a field of crontab(5). Use *, numbers from {least} to {most},"
            f" ranges and steps, without spaces, such as {least}, {least}-{most} or */2."
        )


def user_errors(user: str) -> Iterator[str]:
    """Why cron's file can't name this user."""
    if user.split() != [user] or printable(user) != user:
        yield f"cron_user: cron can't run the script as user '{printable(user)}', whose name has white space. Set root."


def _is_part(text: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    found = _PART.fullmatch(text)
    if not found:
        return False
    first, last, step = found.groups()
    numbers = [_number(each, least, names) for each in (first, last) if each is not None]
    if step is not None and (int(step) < 1 or len(numbers) == 1):  # cron has a step only after * and a range
        return False
    return all(least <= number <= most for number in numbers) and numbers == sorted(numbers)


def _number(text: str, least: int, names: tuple[str, ...]) -> int:
    """A number, or that of a name; -1 for neither."""
    if text.lower() in names:
        return names.index(text.lower()) + least
    return int(text) if text.isdecimal() else -1
