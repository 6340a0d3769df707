# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes texts of applications, databases and other users fit for a terminal, a log or a message."""

from __future__ import annotations

import unicodedata
from typing import Any

LONGEST = 500  # characters of a text in a message

# Unicode's general categories of characters that a terminal or a log may act on instead of showing them: control,
# format (such as right-to-left override), surrogate, private use, line separator, paragraph separator.
_NOT_SHOWN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def printable(text: Any, longest: int | None = LONGEST, keep: str = "") -> str:
    r"""The text in one line of printable characters; others are written as Python writes them: \x1b, \n, \u202e.

    longest: characters after which it is cut off; None for all of it.
    keep: characters to leave as they are, such as a line feed in a text of several lines.
    """
    text = str(text)
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) if character not in keep else character for character in text)


def _shown(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii") if is_hidden(character) else character


def is_hidden(character: str) -> bool:
    """Whether a terminal or a log may act on the character instead of showing it."""
    return unicodedata.category(character) in _NOT_SHOWN or _is_none(character)


def is_control(character: str) -> bool:
    """Whether it has no place in any text: a control character but line feed and tab, or what systemd refuses too."""
    if unicodedata.category(character) in ("Cc", "Cs"):
        return character not in "\n\t"
    return _is_none(character)


def _is_none(character: str) -> bool:
    """Whether it is one of Unicode's noncharacters."""
    number = ord(character)
    return 0xFDD0 <= number <= 0xFDEF or number & 0xFFFE == 0xFFFE


def printable_data(data: Any, longest: int | None = LONGEST) -> Any:
    """Data as JSON has them, with each text in them, also a dictionary's keys, made printable."""
    if isinstance(data, str):
        return printable(data, longest)
    if isinstance(data, list):
        return [printable_data(each, longest) for each in data]
    if isinstance(data, dict):
        return {printable(key, longest): printable_data(value, longest) for key, value in data.items()}
    return data
