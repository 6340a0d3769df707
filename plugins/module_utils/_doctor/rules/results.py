# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of results."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import Service, Trap


def never_expire(service: Service) -> Iterator[Trap]:
    settings = service.facts["settings"]
    if settings.get("storing") and settings.get("results_expire") == 0 and settings.get("results") != "rpc":
        yield Trap(
            f"{settings['storing']:g} tasks store their results ({settings.get('results')}), and result_expires is"
            " off: each result stays forever, until the memory or the disk is full.",
            "Write settings: {result_expires: 86400}, or {task_ignore_result: true} if nobody reads results.",
        )
