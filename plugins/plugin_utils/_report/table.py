# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .answer import FAILED, REFUSED, SUCCEEDED, Service
from .summary import SIGNS, Summary
from .words import count, grouped, plain, size, when

LONGEST_CELL = 48  # characters
MOST_ADVICE = 20


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they have to be; the first row is the head."""
    cells = [[_cut(plain(cell)) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def report(summary: Summary) -> Iterator[str]:
    """Paragraphs: what to do, the goals, the services. The verdict is for the caller to colour."""
    if summary.advice:
        yield "\n".join(["What to do", *_to_do(summary)])
    if summary.goals:
        head = ("goal", "verdict", "measured", "since")
        rows = [
            (
                goal.name,
                f"{SIGNS[goal.verdict]} {goal.verdict}",
                goal.measured,
                "now" if goal.since == summary.now else when(goal.since, summary.now),
            )
            for goal in summary.goals
        ]
        yield table([head, *rows])
        reasons = [f"{SIGNS[goal.verdict]} {goal.name}: {plain(goal.why)}." for goal in summary.goals if goal.why]
        if reasons:
            yield "\n".join(reasons)
    rows = [_row(host, service, summary) for host, answer in summary.answers.items() for service in answer.services]
    if rows:
        head = (
            "host",
            "service",
            "state",
            "since",
            "memory",
            "peak",
            "limit",
            "done",
            "failed",
            "refused calls",
            "ended unexpectedly",
        )
        yield table([head, *rows])


def _to_do(summary: Summary) -> Iterator[str]:
    for number, advice in enumerate(summary.advice[:MOST_ADVICE], 1):
        yield f"{number:3}. {advice.host}: {plain(advice.what)}"
        yield from (f"     {line}" for line in advice.command.splitlines())
    if len(summary.advice) > MOST_ADVICE:
        yield f"     and {count(len(summary.advice) - MOST_ADVICE, 'other thing')}, which the page lists"


def _row(host: str, service: Service, summary: Summary) -> tuple[str, ...]:
    reasons = [end.reason for end in service.ends]
    why = ", ".join(f"{reasons.count(reason)} × {reason}" for reason in dict.fromkeys(reasons)) or "never"
    totals = [grouped(service.total(column)) for column in (SUCCEEDED, FAILED, REFUSED)]
    used = service.memory
    return (
        host, service.name, service.state, when(service.since, summary.now),
        size(used.working), size(service.peak or None), size(used.max) if used.max else "none", *totals, why,
    )  # fmt: skip
