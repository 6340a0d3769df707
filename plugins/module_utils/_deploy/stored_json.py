# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what was stored about a service. It may be damaged, or written by a newer version of this collection."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Callable

from .._common import files
from .._common.project import NAME
from .._common.texts import printable
from .plan import PlanError

MOST = 2**24  # bytes

Names = Mapping[str, str]
Fields = Mapping[str, Callable[[Any], bool]]  # whether a value is one that we write


def read(
    path: Path, fields: Fields, without: str, required: bool = False, former: Names | None = None
) -> dict[str, Any]:
    """Its fields; empty if there is no such file. Raises PlanError if it is not as we write it.

    without: what happens if the file is not there.
    required: whether it must have all fields.
    former: the fields' new names, by their names in earlier versions.
    """
    if not path.exists():
        return {}
    try:
        stored = json.loads(files.read_start(path, MOST))
        wrong = ""
    except (OSError, ValueError, RecursionError) as error:
        wrong = f"is damaged: {error}"
    else:
        if isinstance(stored, dict):
            stored = {(former or {}).get(name, name): value for name, value in stored.items()}
            wrong = next(_mistakes(stored, fields, required), "")
        else:
            wrong = f"is damaged: it is {stored!r}"
    if wrong:
        raise PlanError(
            f"{path} {printable(wrong)}. Nothing was changed. Use the version of evenkeel.celery that wrote it, restore"
            f" it from a backup, or move it away and run this again: {without}"
        )
    return stored


def _mistakes(stored: Mapping[str, Any], fields: Fields, required: bool) -> Iterator[str]:
    for name, value in stored.items():
        if name not in fields:
            yield f"has the field {name!r}, which this version does not know: a newer one may have written it"
        elif not fields[name](value):
            yield f"is damaged: {name} is {value!r}"
    for name in fields if required else ():
        if name not in stored:
            yield f"is damaged: {name} is missing"


def is_generation(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{16}", value)))


def is_project(value: Any) -> bool:
    return isinstance(value, str) and bool(not value or NAME.fullmatch(value) or re.fullmatch("~[0-9a-f]{12}", value))


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_mode(value: Any) -> bool:
    return value is None or (isinstance(value, int) and 0 <= value <= 0o7777)


def is_link(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(value) and "\0" not in value)


def is_content(value: Any) -> bool:
    """Base64, or nothing."""
    try:
        return value is None or (isinstance(value, str) and base64.b64decode(value, validate=True) is not None)
    except ValueError:
        return False
