# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of a host: the journal in one pass, and the samples of the last days in few points."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from . import ends, log_lines
from .journal import Entry, Question, Reading, understood
from .past import MOST_EVENTS, Past
from .sample import UNIT

POINTS = 336  # half hours of a week
MOST_ENTRIES = 2_000_000
SECONDS = 120  # that each of two passes may take
MOST_SAMPLES = 100_000

Samples = Sequence[Mapping[str, Any]]


def listen(pasts: Mapping[str, Past], kernel: bool) -> tuple[int, bool]:
    """Tells each past what the journal knows of its service, and of the kernel if it has its messages.

    Returns how many lines of the services journald has left out, and whether all of the journal was read.
    Raises JournalError.
    """
    if not pasts:
        return 0, True
    begin, since = min(past.begin for past in pasts.values()), min(past.since for past in pasts.values())
    suppressed = 0
    events = Reading(ends.question(pasts), since=begin, most=MOST_ENTRIES, seconds=SECONDS)

    def read_event(entry: Entry) -> None:
        nonlocal suppressed
        if ends.is_journalds(entry):
            suppressed += ends.suppressed(entry, pasts) if entry.time >= since else 0
            return
        event, past = ends.event(entry), pasts.get(ends.service_of(entry))
        if event and past:
            past.add_event(event)
            if event.kind == "oom" and not kernel:
                past.kills.append(event.time)

    def read_line(entry: Entry) -> None:
        if log_lines.is_kernels(entry):
            past = pasts.get(ends.killed_service(entry) or "")
            if past:
                past.kills.append(entry.time)
            return
        past = pasts.get(log_lines.service_of(entry))
        if past and entry.time >= past.begin:
            past.add_lines(entry)

    for entry in events:
        understood(read_event, entry)
    question = log_lines.question([past.service for past in pasts.values()])
    lines = Reading(question, since=begin, most=MOST_ENTRIES, seconds=SECONDS)
    for entry in lines:
        understood(read_line, entry)
    return suppressed, not (events.exceeded or lines.exceeded)


def samples(since: float) -> list[dict[str, Any]]:
    """The lines that sample.py has left in the journal: used, swap and services as there, and t, the time."""
    found = []
    for entry in Reading(
        Question([[f"_SYSTEMD_UNIT={UNIT}.service"]]), since=since, most=MOST_SAMPLES, seconds=SECONDS
    ):
        try:
            sample = json.loads(entry.message)
            found.append({"t": entry.time, **{name: sample[name] for name in ("used", "swap", "services")}})
        except (ValueError, KeyError, TypeError):
            continue
    return found


def kills(history: Samples, service: str) -> list[float]:
    """When processes of a service were killed as memory had run out, as the samples have counted them."""
    found: deque[float] = deque(maxlen=MOST_EVENTS)
    before = None
    for sample in history:
        count = (sample["services"].get(service) or [None] * 4)[3]
        if count is not None and before is not None:
            found += [sample["t"]] * min(max(0, count - before), MOST_EVENTS)
        before = count if count is not None else before
    return list(found)


def first(history: Samples, service: str) -> float | None:
    """When a service was sampled for the first time."""
    return next((sample["t"] for sample in history if service in sample["services"]), None)


def thinned(history: Samples, since: float, now: float) -> list[dict[str, Any]]:
    """Few points, each with the highest values of its time; n: of how many samples; at: when the most was used."""
    slots: dict[int, dict[str, Any]] = {}
    for sample in history:
        new = {"t": sample["t"], "at": sample["t"], "used": 0, "swap": 0, "services": {}, "n": 0}
        slot = slots.setdefault(int((sample["t"] - since) * POINTS // (now - since)), new)
        slot["n"] += 1
        if sample["used"] > slot["used"]:
            slot.update(used=sample["used"], at=sample["t"])
        slot["swap"] = max(slot["swap"], sample["swap"])
        for name, values in sample["services"].items():
            highest = slot["services"].get(name, [None] * 3)
            slot["services"][name] = [
                max((each for each in pair if each is not None), default=None) for pair in zip(highest, values)
            ]
    return [slots[number] for number in sorted(slots)]
