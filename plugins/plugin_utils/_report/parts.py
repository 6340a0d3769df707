# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of the page are made of."""

from __future__ import annotations

from .answer import Service
from .html import Markup, element, name
from .summary import DOWN, UP

GOOD, BAD, OPEN = "good", "bad", "open"  # colours, in page.css
NEVER = "never"


def chip(text: str, colour: str) -> Markup:
    return element("span", text, class_=f"chip {colour}")


def colour(service: Service) -> str:
    return GOOD if service.state in UP else BAD if service.state in DOWN else OPEN


def state(service: Service) -> Markup:
    return chip(service.state, colour(service))


def anchor(host: str, service: Service) -> str:
    """Without what an address would have to encode."""
    return "".join(letter if letter.isalnum() else "-" for letter in f"{host}-{service.name}")


def times(number: int) -> str:
    return f"{number} ×" if number else NEVER


def quiet(*children: object) -> Markup:
    return element("p", *children, class_="quiet small")


def facts(*pairs: tuple[str, str]) -> Markup:
    """Terms and what is known of them, in a line."""
    return element(
        "dl", [element("div", element("dt", name(a)), element("dd", name(b))) for a, b in pairs], class_="facts"
    )


def figure(caption: list[object], chart: Markup) -> Markup:
    return element("figure", element("figcaption", caption), chart)


def key(kind: str, text: str) -> list[object]:
    """What a colour or a sign of a chart means, for its caption."""
    return [" · ", element("span", text, class_=f"key {kind}")]


def table(kind: str, columns: list[str], rows: list[Markup]) -> Markup:
    """A column that begins with > has numbers."""
    heads = [
        element("th", column.lstrip(">"), scope="col", class_="number" if column.startswith(">") else None)
        for column in columns
    ]
    return element("table", element("thead", element("tr", heads)), element("tbody", rows), class_=kind)


def number(text: str, label: str) -> Markup:
    """A cell. On a narrow screen, the label stands before it."""
    return element("td", text, class_="number", data_label=label)


def cell(*children: object, label: str | None = None) -> Markup:
    return element("td", element("div", *children, class_="cell"), data_label=label)
