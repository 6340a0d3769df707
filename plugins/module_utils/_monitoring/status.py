# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our programs tell systemd of a service (STATUS=), read back: roles/celery_worker/files/evenkeel_watchdog.py and
roles/celery_beat/files/evenkeel_beat.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The beginning of a status, and the state that it means.
_BEGINNINGS = {
    "sick: ": "hung",
    "starting": "starting",
    "stopping": "stopping",
    "ready": "ready",
    "disconnected for ": "disconnected",
    "waiting": "ready",
    "ticking": "ready",
    "sending nothing, as another beat of this application holds the lock": "standby",
    "the broker has not answered for ": "disconnected",
}
_WORKER = re.compile(r"; (\d{1,18}) running, (\d{1,18}) taken, (\d{1,18}) started in all$")
_BEAT = re.compile(r"; (\d{1,18}) tasks sent$")


@dataclass(frozen=True)
class Status:
    """What a service says of itself. What it does not say is None."""

    state: str | None = None
    running: int | None = None
    taken: int | None = None
    started: int | None = None
    sent: int | None = None


def parse(text: str) -> Status:
    """The meaning of a status; of one that is not our programs', nothing."""
    state = next((state for beginning, state in _BEGINNINGS.items() if text.startswith(beginning)), None)
    counts, sent = _WORKER.search(text), _BEAT.search(text)
    if state and counts:
        return Status(state, *map(int, counts.groups()))
    return Status(state, sent=int(sent[1]) if state and sent else None)
