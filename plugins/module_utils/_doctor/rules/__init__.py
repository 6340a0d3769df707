# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The traps that the doctor knows, in the order of docs/doctor.md."""

from __future__ import annotations

from ..findings import HINT, SERIOUS, WARNING, Rule
from . import acknowledgement, queues

CELERY = "https://docs.celeryq.dev/en/stable"

RULES = (
    Rule(
        "requeued_forever",
        WARNING,
        "A task that needs too much memory is executed again forever",
        f"{CELERY}/userguide/tasks.html#Task.reject_on_worker_lost",
        acknowledgement.requeued_forever,
    ),
    Rule(
        "eta_beyond_visibility",
        SERIOUS,
        "A task with a late ETA is executed more than once",
        "https://github.com/celery/kombu/issues/337",
        queues.eta_beyond_visibility,
    ),
    Rule(
        "tasks_behind_a_long_one",
        WARNING,
        "Tasks wait in a busy worker while another one is idle",
        f"{CELERY}/userguide/optimizing.html#prefetch-limits",
        queues.tasks_behind_a_long_one,
    ),
    Rule(
        "one_node_name",
        WARNING,
        "Several workers share a node name",
        "https://github.com/celery/celery/issues/2938",
    ),
    Rule(
        "clocks_apart",
        WARNING,
        "The clocks of hosts differ",
        "https://github.com/celery/celery/issues/1980",
    ),
    Rule(
        "queue_without_worker",
        WARNING,
        "Tasks go to a queue that no worker consumes",
        "https://github.com/mozilla/sumo/issues/1573",
    ),
    Rule(
        "worker_without_tasks",
        HINT,
        "A worker consumes queues that nobody fills",
        f"{CELERY}/userguide/routing.html#automatic-routing",
    ),
)
NAMES = tuple(rule.name for rule in RULES)
