# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a task is acknowledged, and what becomes of it if its process is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..findings import Service, Trap
from .versions import number

_RETRIES = (5, 7)  # the first Celery that does
_RETRY = "settings: {task_retry_on_worker_lost: true}, which executes a task again at most max_retries times"


def requeued_forever(service: Service) -> Iterator[Trap]:
    settings = service.facts["settings"]
    if _has_children(service) and settings.get("tasks") and settings.get("late_requeued") == settings["tasks"]:
        yield Trap(
            "task_acks_late and task_reject_on_worker_lost are set for all tasks. One that needs too much memory is"
            " returned to the queue each time that it is killed, forever.",
            f"Write {_RETRY}."
            if _can_retry(service)
            else "Set reject_on_worker_lost only for tasks that count their deliveries (docs/memory.md), and write"
            " settings: {task_reject_on_worker_lost: false}.",
        )


def requeued_without_late(service: Service) -> Iterator[Trap]:
    settings = service.facts["settings"]
    without = settings.get("requeued", 0) - settings.get("late_requeued", 0)
    if without > 0:
        yield Trap(
            f"reject_on_worker_lost is set for {_some(without, settings)} without acks_late. It has no effect there:"
            " the message is already gone when the task begins, and is lost with its process.",
            "Set acks_late for these tasks as well if they may run twice, else remove reject_on_worker_lost; for all"
            " tasks, write settings: {task_acks_late: true}.",
        )


def late_not_requeued(service: Service) -> Iterator[Trap]:
    settings = service.facts["settings"]
    without = settings.get("late", 0) - settings.get("late_requeued", 0)
    if _has_children(service) and without > 0:
        yield Trap(
            f"acks_late is set for {_some(without, settings)} without reject_on_worker_lost. If the process of one is"
            " killed, such as by the OOM killer, it fails with WorkerLostError and is not executed"
            " again. If the whole worker is killed, it is.",
            f"If they shall be executed again in both cases, write {_RETRY}."
            if _can_retry(service)
            else "If they shall be executed again in both cases, set reject_on_worker_lost for those that count their"
            " deliveries (docs/memory.md).",
        )


def _can_retry(service: Service) -> bool:
    return number(service.facts["versions"].get("celery", "0")) >= _RETRIES


def _has_children(service: Service) -> bool:
    """In other pools, no process can be lost but the whole worker."""
    return service.instance.get("pool") == "prefork"


def _some(number: float, settings: Mapping[str, Any]) -> str:
    tasks = settings.get("tasks", number)
    return "all tasks" if number == tasks else f"{number:g} of {tasks:g} tasks"
