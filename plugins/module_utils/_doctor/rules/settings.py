# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that are meant for tests or for another world."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import Service, Trap

_PICKLE = {"pickle", "application/x-python-serialize"}


def eager(service: Service) -> Iterator[Trap]:
    if service.facts["settings"].get("eager"):
        yield Trap(
            "task_always_eager is on, as in tests: whoever sends a task executes it at once, within itself. With the"
            " same settings, the web application never sends anything to this worker.",
            "Remove task_always_eager from the application's settings for production.",
        )


def pickle(service: Service) -> Iterator[Trap]:
    if _PICKLE & set(service.facts["settings"].get("accepted", [])):
        yield Trap(
            "accept_content has pickle: whoever can write to the broker can let the worker execute any code as its"
            " user.",
            "First set task_serializer: json in whatever sends tasks. When no pickled message waits any more, write"
            " settings: {accept_content: [json]}: it discards those that still wait.",
        )
