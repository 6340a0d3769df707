# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The traps that the doctor knows, in the order of docs/doctor.md."""

from __future__ import annotations

from ..findings import WARNING, Rule
from . import acknowledgement

CELERY = "https://docs.celeryq.dev/en/stable"

RULES = (
    Rule(
        "requeued_forever",
        WARNING,
        "A task that needs too much memory is executed again forever",
        f"{CELERY}/userguide/tasks.html#Task.reject_on_worker_lost",
        acknowledgement.requeued_forever,
    ),
)
NAMES = tuple(rule.name for rule in RULES)
