# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each project on a host measures: a configuration for each, which the sampler reads, and what else it wants."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._common import files
from .._common.files import File
from .._common.paths import MARKER
from .._common.project import project_errors, taking_over
from .._common.texts import printable
from .._monitoring.config import CONFIG, MOST, config_path
from .redis_url import Redis


@dataclass(frozen=True)
class Configuration:
    """What a project measures on this host."""

    services: tuple[Mapping[str, Any], ...] = ()  # as _monitoring/config.py has them
    campaigns: Mapping[str, str] = None  # flag files by their queues
    exporters: tuple[str, ...] = ()
    listen_address: str = ""
    server: str = ""  # the Redis with its queues
    database: int = 0
    queues: tuple[str, ...] = ()

    def file(self) -> File:
        data = {
            "managed_by": MARKER.lstrip("# "),
            "services": list(self.services),
            "campaigns": dict(self.campaigns or {}),
            "exporters": {"names": list(self.exporters), "listen_address": self.listen_address},
        }
        if "redis" in self.exporters:
            data["redis"] = {"server": self.server, "database": self.database, "queues": list(self.queues)}
        return File(json.dumps(data, indent=2, sort_keys=True).encode() + b"\n")

    @property
    def names(self) -> set[str]:
        return {str(service.get("name")) for service in self.services}


There = Mapping[str, Configuration]  # by their projects; empty: that of plays without a project's name
