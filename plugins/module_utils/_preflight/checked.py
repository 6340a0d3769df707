# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was checked of a service and found in order, a line for each subject."""

from __future__ import annotations

from collections.abc import Iterator

from .._celery import log_file
from .._celery.memory import Footprint
from .._celery.options import Instance, most_children
from .answer import Answer


def lines(instance: Instance, found: Answer) -> Iterator[str]:
    user, limit = instance["user"], instance["memory_max"]
    if "footprint" in found:
        yield (
            f"user {user} can run {instance['executable']} in {instance['directory']}, and it loads {instance['app']},"
            " with the environment and in the sandbox that it will have"
        )
    written = log_file.writable_paths(instance)
    if "absent" in found and written:
        yield f"user {user} can write to {', '.join(written)}"
    if "uri" in found and "broker" not in found:
        yield f"the broker {found['uri']} answers"
    if "results_uri" in found and "results" not in found:
        yield f"the result backend {found['results_uri']} answers"
    if "footprint" in found:
        needed = Footprint(*found["footprint"]).with_children(most_children(instance) or 1)
        most = f"; its limit is {limit}" if limit else ""
        yield f"before its first task, it uses {-(-needed // 2**20)}M of memory{most}"
