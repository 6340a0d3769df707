# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sampled on a host: the configuration that the role monitoring writes, one file for each project.

/etc/evenkeel/monitoring.json, or monitoring.PROJECT.json:

    {
      "managed_by": "Managed by evenkeel.celery",
      "services": [
        {
          "name": "celery-worker",            its unit, without .service
          "kind": "worker",                   or beat
          "log_level": "info",                Celery's, which decides what the log can tell
          "tasks": ["tasks.make_slideshow"],  shown from the beginning, also before they have ended once
          "rate_limited": "429"               a regular expression for lines in which an API refuses a call
        }
      ],
      "campaigns": {"slideshows": "/run/shop/campaign"}    queue: its flag file
    }

All but `name` and `kind` can be left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._common import files
from .._common.paths import CONFIGURATION
from .._common.texts import printable
from .options import RATE_LIMITED

CONFIG = f"{CONFIGURATION}/monitoring.json"
KINDS = ("worker", "beat")
LEVELS = ("debug", "info", "warning", "error", "critical")
MOST = 2**22  # bytes of a file


class ConfigError(Exception):
    """A file is not a configuration. The message is a sentence."""


@dataclass(frozen=True)
class Service:
    """A worker or a beat."""

    name: str
    kind: str
    log_level: str = "info"
    tasks: tuple[str, ...] = ()  # shown from the beginning
    rate_limited: str = RATE_LIMITED

    def logs(self, level: str) -> bool:
        """Whether its log has what Celery logs at this level."""
        return self.kind == "worker" and LEVELS.index(level) >= LEVELS.index(self.log_level)


@dataclass(frozen=True)
class Config:
    """What is sampled on this host, for all projects."""

    services: tuple[Service, ...] = ()
    campaigns: Mapping[str, str] = field(default_factory=dict)  # flag files by their queues


def config_path(project: str) -> str:
    """The configuration of a project; that of plays without a project's name if it is empty."""
    return str(Path(CONFIG).with_suffix(f".{project}.json")) if project else CONFIG


def read_all() -> Config:
    """The configurations of all projects. Raises ConfigError."""
    first = Path(CONFIG)
    return merged(map(read, sorted([*first.parent.glob(first.name), *first.parent.glob(f"{first.stem}.*.json")])))


def merged(configs: Iterable[Config]) -> Config:
    """All of them as one. A service belongs to one project; if two name it, the first one is taken."""
    services: dict[str, Service] = {}
    campaigns: dict[str, str] = {}
    for config in configs:
        services = {**{service.name: service for service in config.services}, **services}
        campaigns = {**config.campaigns, **campaigns}
    return Config(tuple(services[name] for name in sorted(services)), campaigns)


def read(path: str | Path) -> Config:
    """Raises ConfigError."""
    try:
        return parse(json.loads(files.read_start(path, MOST)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} can't be read: {printable(error)}. Correct it, or run the role monitoring again."
        ) from error


def parse(data: Mapping[str, Any]) -> Config:
    """A configuration's data. Raises ValueError, KeyError, TypeError or AttributeError."""
    campaigns = {str(queue): str(flag) for queue, flag in data.get("campaigns", {}).items()}
    return Config(tuple(map(read_service, data["services"])), campaigns)


def read_service(data: Mapping[str, Any]) -> Service:
    """A service's data. Raises ValueError, KeyError or TypeError."""
    service = Service(
        name=str(data["name"]),
        kind=data["kind"],
        log_level=data.get("log_level") or "info",
        tasks=tuple(map(str, data.get("tasks", ()))),
        rate_limited=data.get("rate_limited") or RATE_LIMITED,
    )
    if service.kind not in KINDS:
        raise ValueError(f"{service.name}: kind {service.kind!r} is not one of {', '.join(KINDS)}")
    if service.log_level not in LEVELS:
        raise ValueError(f"{service.name}: log_level {service.log_level!r} is not one of {', '.join(LEVELS)}")
    try:
        re.compile(service.rate_limited)
    except re.error as error:
        raise ValueError(
            f"{service.name}: rate_limited {printable(service.rate_limited)!r} is not a regular expression: {error}"
        ) from None
    return service
