# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Elements of HTML and SVG. Whatever is not an element is text, and escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

EMPTY = {"meta", "br", "rect", "line", "path", "circle"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """children: elements, texts, numbers, or lists of them; None is nothing.

    attributes: None leaves one out; `class_` is class, `stroke_width` is stroke-width.
    """
    named = ((name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items() if value is not None)
    opened = tag + "".join(f' {name}="{escape(str(value))}"' for name, value in named)
    if tag in EMPTY and not children:
        return Markup(f"<{opened}>" if tag in ("meta", "br") else f"<{opened}/>")
    return Markup(f"<{opened}>{''.join(_html(children))}</{tag}>")


def name(text: str) -> Markup:
    """A name that somebody else gave. One that is written from right to left does not turn what is beside it."""
    return element("bdi", text)


def _html(children: Iterable[object]) -> Iterator[str]:
    for child in children:
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, (str, int, float)):
            yield escape(str(child))
        elif child is not None:
            yield from _html(child)
