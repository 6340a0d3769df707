# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the goals are measured by, from the options of the report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import with_defaults
from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import parse_duration, parse_size
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.summary_options import GOALS

LONGEST = 366  # days


@dataclass(frozen=True)
class Wanted:
    """None or 0 leaves a goal out."""

    days: float
    out_of_memory: bool
    memory: int  # bytes of the whole machine in use
    stuck_for: float  # seconds
    throughput: bool
    busiest_hour_before: float | None
    refusals_down: float  # percent
    refusals_before: float | None  # of 1000 tasks
    without_swap: Collection[str] = ()  # hosts that need none


def wanted(days: float, goals: Mapping[str, Any] | None, without_swap: Collection[str] = ()) -> Wanted:
    """Raises ValueError with a sentence."""
    if not 0 < days <= LONGEST:
        raise ValueError(f"days: {days:g} is out of range. Set a number above 0, and at most {LONGEST}.")
    goals = with_defaults(GOALS, goals or {})
    if not 0 <= goals["refusals_down"] <= 100:
        raise ValueError(f"goals.refusals_down: {goals['refusals_down']:g} is no percentage. Set 0 to 100.")
    for name in ("busiest_hour_before", "refusals_before"):
        if goals[name] is not None and not 0 <= goals[name] < 1e9:
            raise ValueError(f"goals.{name}: {goals[name]:g} is out of range. Set a number from 0.")
    memory, stuck_for = _parsed(goals, "memory", parse_size), _parsed(goals, "stuck_for", parse_duration)
    return Wanted(days, **{**goals, "memory": memory, "stuck_for": stuck_for}, without_swap=without_swap)


def _parsed(goals: Mapping[str, Any], name: str, parse: Callable[[object], Any]) -> Any:
    try:
        return parse(goals[name]) if goals[name] else 0
    except ValueError as error:
        raise ValueError(f"goals.{name}: {error}.") from None
