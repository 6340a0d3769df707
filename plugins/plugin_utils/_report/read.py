# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads data that somebody else made, such as a host's answer, into dataclasses: what doesn't fit is refused."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from typing import Any, TypeVar

from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import printable

T = TypeVar("T")
MOST_ENTRIES = 10_000  # of a list or a dictionary
LONGEST_TEXT = 300  # characters; the rest is cut off
LARGEST_NUMBER = 2.0**63
NUMBERS = (int, float)


def read(kind: type[T], data: Any, where: str = "") -> T:
    """The data as JSON has them, as a value of this type. Texts become printable. Unknown fields are ignored.

    Raises ValueError, which names the first place that doesn't fit.
    """
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if type(None) in inside:  # X | None
        return None if data is None else read(next(each for each in inside if each is not type(None)), data, where)
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, data, where)
    if origin is list:
        return [read(inside[0], each, f"{where}[{index}]") for index, each in enumerate(_bounded(list, data, where))]
    if origin is tuple:
        if len(_bounded(list, data, where)) != len(inside):
            raise ValueError(f"{where} has {len(data)} entries, not {len(inside)}")
        return tuple(read(each, value, f"{where}[{index}]") for index, (each, value) in enumerate(zip(inside, data)))
    if origin is dict:
        entries = _bounded(dict, data, where)
        return {_text(key): read(inside[1], each, f"{where}.{_text(key)}") for key, each in entries.items()}
    return _read_value(kind, data, where)


def _read_fields(kind: type[T], data: Any, where: str) -> T:
    hints, values = _types(kind), {}
    for field in dataclasses.fields(kind):
        place = f"{where}.{field.name}".lstrip(".")
        if field.name in _bounded(dict, data, where):
            values[field.name] = read(hints[field.name], data[field.name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{place} is missing")
    return kind(**values)


@functools.cache
def _types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _read_value(kind: type[T], data: Any, where: str) -> T:
    if kind is str and isinstance(data, str):
        return _text(data)
    if kind is bool and isinstance(data, bool):
        return data
    if kind in NUMBERS and isinstance(data, NUMBERS) and not isinstance(data, bool):
        if math.isfinite(data) and 0 <= data < LARGEST_NUMBER:
            return kind(data)
        raise ValueError(f"{where} is {data}, which is out of range")
    raise ValueError(f"{where} is no {kind.__name__}")


def _bounded(kind: type[T], data: Any, where: str) -> T:
    if not isinstance(data, kind):
        raise ValueError(f"{where or 'the answer'} is no {kind.__name__}")
    if len(data) > MOST_ENTRIES:
        raise ValueError(f"{where} has {len(data)} entries, more than {MOST_ENTRIES}")
    return data


def _text(text: Any) -> str:
    return printable(text, LONGEST_TEXT)
