# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML as people write it: block style, comments above what is not obvious, no quotes where none are needed."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_WIDTH = 100
# Texts that YAML 1.1 and 1.2 read as the same text without quotes. All others are quoted.
_PLAIN = re.compile(
    r"-{0,2}[A-Za-z_/$.](?:[\w./@%+=,${}()?<>~*&;!-]|:(?=\S)| (?=[\w($.]))*|--|\d+(?:s|m|[KMGT]i?)", re.ASCII
)
_NOT_TEXT = re.compile(r"y|n|yes|no|on|off|true|false|null|[-+]?\..*|[.\d_]*", re.IGNORECASE)
_SHORT = re.compile(r"[A-Za-z_-]{1,20}")


@dataclass(frozen=True)
class Note:
    """A value of a mapping or a list, with a comment above it. apart: an empty line is above that."""

    comment: str
    value: Any
    apart: bool = False


@dataclass(frozen=True)
class Anchor:
    """A mapping that others include: see Merge."""

    name: str
    value: Mapping[str, Any]


@dataclass(frozen=True)
class Merge:
    """The value of the key ``<<``: the name of the anchor whose keys the mapping includes."""

    name: str


def text(documents: list[Mapping[str, Any]]) -> str:
    """A file with these documents."""
    return "".join("---\n" + "".join(f"{line}\n" for line in _mapping(each, 0)) for each in documents)


def given(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping without what is None or empty."""
    return {key: value for key, value in mapping.items() if _without_note(value) not in (None, {}, [], ())}


def _without_note(value: Any) -> Any:
    return value.value if isinstance(value, (Note, Anchor)) else value


def _mapping(mapping: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, Note):
            yield from _comment(value, indent)
            value = value.value  # noqa: PLW2901
        start = " " * indent + f"{_scalar(key)}:"
        if isinstance(value, Anchor):
            start, value = f"{start} &{value.name}", value.value  # noqa: PLW2901
        if isinstance(value, Merge):
            yield f"{' ' * indent}{key}: *{value.name}"
        elif isinstance(value, Mapping) and value:
            yield start
            yield from _mapping(value, indent + 2)
        elif isinstance(value, (list, tuple)) and value and not _is_short(value):
            yield start
            yield from _sequence(value, indent + 2)
        elif isinstance(value, str) and _folds(value):
            yield f"{start} >-"
            yield from _wrapped(value, " " * (indent + 2))
        else:
            yield f"{start} {_inline(value)}"


def _sequence(values: list[Any] | tuple[Any, ...], indent: int) -> Iterator[str]:
    for value in values:
        if isinstance(value, Note):
            yield from _comment(value, indent)
            value = value.value  # noqa: PLW2901
        if isinstance(value, Mapping) and value:
            lines = list(_mapping(value, indent + 2))
            first = next((number for number, line in enumerate(lines) if not line.lstrip().startswith("#")), 0)
            yield from (line[2:] for line in lines[:first])
            yield f"{' ' * indent}- {lines[first].lstrip()}"
            yield from lines[first + 1 :]
        else:
            yield f"{' ' * indent}- {_inline(value)}"


def _comment(note: Note, indent: int) -> list[str]:
    start = " " * indent + "# "
    lines = _wrapped(note.comment, start)
    return ["", *lines] if note.apart else lines


def _folds(text: str) -> bool:
    """Whether it is long, and reads the same if its lines are joined by spaces."""
    return len(text) > _WIDTH and text.isprintable() and text == " ".join(text.split()) and " " in text


def _wrapped(text: str, start: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _is_short(values: list[Any] | tuple[Any, ...]) -> bool:
    return len(values) <= 3 and all(
        isinstance(each, str) and _SHORT.fullmatch(each) and not _NOT_TEXT.fullmatch(each) for each in values
    )


def _inline(value: Any) -> str:
    """In one line. Texts in lists and mappings are quoted if they are not words, as "," and "]" would end them."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(each if _is_short([each]) else _within(each) for each in value)}]"
    return "{}" if isinstance(value, Mapping) else _scalar(value)


def _within(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_within(key)}: {_within(each)}' for key, each in value.items())}}}"
    return _quoted(value) if isinstance(value, str) else _inline(value)


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and not _NOT_TEXT.fullmatch(value):
        return value
    return _quoted(value)


def _quoted(text: str) -> str:
    return f'"{"".join(map(_character, text))}"'


def _character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    return character if character.isprintable() else f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"
