# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of errors that a job may keep in one column, as lines or as a JSON list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

NO_LIST = object()  # in place of a history that can't be extended


def with_line(old: Any, message: str) -> str:
    """The old text, if there is any, and the message on a line of its own."""
    return f"{old}\n{message}" if old else message


def with_entry(old: Any, entry: Mapping[str, Any]) -> Any:
    """The JSON list with one more entry, and otherwise as it was written; NO_LIST if it is not a JSON list."""
    text = "[]" if old in (None, "") else old
    try:
        entries = json.loads(text, parse_constant=_refuse) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return NO_LIST
    if not isinstance(entries, list):
        return NO_LIST
    start = text.rstrip()[:-1].rstrip()
    return f"{start}{', ' if entries else ''}{json.dumps(entry, ensure_ascii=False)}]"


def _refuse(constant: str) -> None:
    """NaN and Infinity, which Python reads and databases refuse."""
    raise ValueError(constant)
