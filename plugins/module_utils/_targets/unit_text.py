# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of unit files: systemd.syntax(7), and of Exec lines in systemd.service(5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._common.paths import MARKER

Settings = list[tuple[str, Any]]  # directives and their values; None or an empty text: leave it out
Sections = Mapping[str, Settings]


def text(sections: Sections) -> str:
    """The text of a unit."""
    blocks = [f"[{name}]\n" + "".join(lines(settings)) for name, settings in sections.items()]
    return f"{MARKER}: the next run overwrites changes made here.\n\n" + "\n".join(blocks)


def command_line(arguments: Iterable[str]) -> str:
    """One Exec line. No shell reads it, but systemd expands $ and % and splits at white space (systemd.service(5))."""
    return " ".join(word(str(argument).replace("$", "$$")) for argument in arguments)


def specifiers(text: str) -> str:
    """The text with % escaped, as systemd expands specifiers."""
    return text.replace("%", "%%")


def word(text: str) -> str:
    text = specifiers(text)
    if re.fullmatch(r"[\w@%+=:,./()\[\]{}$-]+", text, re.ASCII):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def lines(settings: Iterable[tuple[str, Any]]) -> list[str]:
    """The settings as a unit file has them."""
    return [
        f"{name}={_value(part)}\n"
        for name, value in settings
        if value not in (None, "") or name in _EMPTY_MEANS
        for part in _parts(value)
    ]


# An empty value has a meaning here: no capabilities at all.
_EMPTY_MEANS = ("CapabilityBoundingSet", "AmbientCapabilities")


def _parts(value: Any) -> list[Any]:
    """A list of which a part is inverted is an assignment for each part: "~" applies to the rest of its line."""
    inverted = isinstance(value, (list, tuple)) and any(str(part).startswith("~") for part in value[1:])
    return list(value) if inverted else [value]


def _value(value: Any) -> str:
    if value is True:
        return "yes"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
