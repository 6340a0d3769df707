# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a task is acknowledged, and what becomes of it if its process is lost."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import Service, Trap


def requeued_forever(service: Service) -> Iterator[Trap]:
    facts = service.facts["settings"]
    if facts.get("tasks") and facts.get("late_requeued") == facts["tasks"]:
        yield Trap(
            "task_acks_late and task_reject_on_worker_lost are set for all tasks: one that needs too much memory is"
            " returned to the queue each time that it is killed, forever.",
            "Set reject_on_worker_lost only for tasks that count their deliveries (docs/memory.md), and here settings:"
            " {task_reject_on_worker_lost: false}.",
        )
