# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that wait in queues, or in workers that have received them."""

from __future__ import annotations

from collections.abc import Iterator

from ..._common.quantities import format_duration
from ..findings import Service, Trap

LONG = 60  # seconds that a task has been active


def eta_beyond_visibility(service: Service) -> Iterator[Trap]:
    visible, longest = service.facts["settings"].get("visibility_timeout"), service.facts["etas"].get("longest")
    if service.facts["settings"].get("transport") == "redis" and visible and longest and longest["seconds"] > visible:
        yield Trap(
            f"Task {longest['task']} in queue {longest['queue']} waits {format_duration(longest['seconds'])} in a worker"
            f" for its ETA. After visibility_timeout, {format_duration(visible)}, it is delivered again, and executed"
            " once more.",
            "settings: {broker_transport_options: {visibility_timeout: "
            f"{2 * int(longest['seconds'])}}}}} for each worker and whoever sends tasks, or keep what is due so late in"
            " a database and send it when it is due.",
        )


def tasks_behind_a_long_one(service: Service) -> Iterator[Trap]:
    node = service.facts["service"].get("node")
    replies = service.facts["workers"].get("workers", ())
    busy = next((reply for reply in replies if reply["name"] == node and reply["count"] == 1), None)
    if not busy or busy["longest"] < LONG or not busy["reserved"]:
        return
    for idle in replies:
        shared = sorted(set(idle["queues"]) & set(busy["queues"]))
        if idle["ours"] and idle is not busy and shared and not idle["reserved"] and idle["active"] < idle["processes"]:
            yield Trap(
                f"{busy['reserved']} tasks wait in this worker behind one that has been active for"
                f" {format_duration(busy['longest'])}, while {idle['name']}, which consumes {shared[0]} too, is idle.",
                "settings: {worker_prefetch_multiplier: 1, task_acks_late: true} if the tasks can be executed twice;"
                " otherwise the multiplier alone, with which only one task waits for each that is executed.",
            )
            return
