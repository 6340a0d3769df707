# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parses the timestamps of PostgreSQL, as it writes them with DateStyle ISO."""

from __future__ import annotations

import re
from datetime import timezone, tzinfo
from typing import Any

from ... import times

_EXPONENT = re.compile(r"\d(\.\d+)?e\+\d\d")  # a double precision of 1e15 or more: microseconds


def parse_time(value: Any, zone: tzinfo = timezone.utc) -> float | None:
    """Epoch seconds of a timestamp, or of any other that applications store; None if there is any doubt about it.

    Infinity, years of more than four digits and those before Christ are times that no job has.
    """
    if isinstance(value, str):
        if value.endswith("+00"):  # UTC, as our sessions have it. Before Python 3.11 only this way it is parsed fast
            value += ":00"
        elif _EXPONENT.fullmatch(value):
            value = float(value)
    return times.parse_time(value, zone)
