# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor says, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.findings import (
    DOCUMENT,
    HINT,
    SERIOUS,
    WARNING,
    Finding,
)

from .summary import Summary

SIGNS = {SERIOUS: "✗", WARNING: "!", HINT: "·"}
COLOURS = {SERIOUS: "red", WARNING: "yellow", HINT: "blue"}
UNKNOWN = "?"
_INDENT = "            "


def paragraphs(summary: Summary, width: int) -> Iterator[tuple[str, str]]:
    """A paragraph and its colour for each finding, and for what could not be examined."""
    for finding in summary.findings:
        yield "\n".join(_finding(finding, width)), COLOURS[finding.severity]
    for where, why in summary.unknown.items():
        lines = [f"{UNKNOWN} {where}", *_field("unknown", why, width)]
        yield "\n".join(lines), "yellow"


def _finding(finding: Finding, width: int) -> Iterator[str]:
    head = f"{SIGNS[finding.severity]} {finding.severity}: {finding.line}"
    yield from textwrap.wrap(head, width, subsequent_indent="  ")
    yield from _field("where", _places(finding), width)
    yield from _field("why", finding.why, width)
    yield from _field("fix", finding.write, width)
    yield from _field("more", f"{DOCUMENT}, {finding.rule}", width)


def _places(finding: Finding) -> str:
    """The services of each host: vps1: shop, mail; vps2: shop"""
    hosts: dict[str, list[str]] = {}
    for place in finding.where:
        host, _colon, service = place.partition(": ")
        hosts.setdefault(host, []).append(service)
    return "; ".join(f"{host}: {', '.join(services)}" for host, services in hosts.items())


def _field(name: str, text: str, width: int) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=f"  {name}".ljust(len(_INDENT)),
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
