# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an environment file as systemd does (EnvironmentFile=): the grammar is that of its src/basic/env-file.c.

A comment ends with its line, as since systemd 254, also after a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_BLANK, _END = " \t", "\n\r"
_ESCAPED_IN_QUOTES = '"\\`$'


def variables(text: str) -> dict[str, str]:
    """The variables of an environment file. What is none is left out, as by systemd."""
    return {name: value for name, value in _assignments(iter(text)) if _NAME.fullmatch(name) and "\0" not in value}


def _assignments(characters: Iterator[str]) -> Iterator[tuple[str, str]]:
    for first in characters:
        if first in "#;":
            any(each in _END for each in characters)  # skips the rest of the line
        elif first not in _BLANK + _END:
            name = _name(first, characters)
            if name:
                yield name.rstrip(_BLANK), _value(characters)


def _name(first: str, characters: Iterator[str]) -> str:
    """What is before the equals sign; empty if the line has none."""
    name = [first]
    for each in characters:
        if each == "=":
            return "".join(name)
        if each in _END:
            break
        name.append(each)
    return ""


def _value(characters: Iterator[str]) -> str:
    """Quoted parts, then what is not quoted, in which quotes are themselves."""
    value = ""
    for each in characters:
        if each in _END:
            break
        if each == "'":
            value += "".join(iter(lambda: next(characters, "'"), "'"))
        elif each == '"':
            value += _in_double_quotes(characters)
        elif each not in _BLANK:
            return value + _unquoted(each, characters)
    return value


def _in_double_quotes(characters: Iterator[str]) -> str:
    value = []
    for each in characters:
        if each == '"':
            break
        if each == "\\":
            escaped = next(characters, "\n")
            value.append(escaped if escaped in _ESCAPED_IN_QUOTES else f"\\{escaped}" if escaped != "\n" else "")
        else:
            value.append(each)
    return "".join(value)


def _unquoted(first: str, characters: Iterator[str]) -> str:
    """Up to the end of the line, without white space there unless it is escaped."""
    value, kept, each = [], 0, first
    while each and each not in _END:
        if each == "\\":
            each = next(characters, "\n")
            value.append("" if each in _END else each)
            kept = len(value)
        else:
            value.append(each)
        each = next(characters, "")
    while len(value) > kept and value[-1] in _BLANK:
        value.pop()
    return "".join(value)
