# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hard time limits that only the application knows, as the probe has found them."""

from __future__ import annotations

from collections.abc import Iterator

from .._celery.options import Instance
from .answer import Answer

# Seconds. The application may say anything, and a stop, such as that of a reboot, would wait as long.
LONGEST = 86400


def of_application(instance: Instance, found: Answer) -> int:
    """Seconds of the longest one that counts for this worker; 0 if there is none."""
    return min(_longest(instance, found), LONGEST)


def warnings(instance: Instance, found: Answer) -> Iterator[str]:
    longest = _longest(instance, found)
    if longest > LONGEST and instance["stop_timeout"] is None:
        yield (
            f"the application sets a time limit of {longest} s, but stop_timeout follows such limits only up to a day,"
            " so a restart may interrupt a long task. Set stop_timeout."
        )


def _longest(instance: Instance, found: Answer) -> int:
    of_all_tasks, of_one_task = found.get("time_limits", (0, 0))
    # The worker's own limit overrides that of all tasks, and that of a task overrides both.
    return max(of_all_tasks if instance["time_limit"] is None else 0, of_one_task)
