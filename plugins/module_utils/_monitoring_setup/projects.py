# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each project on a host measures: a configuration for each, which the sampler reads, and what else it wants."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._common import files
from .._common.files import File
from .._common.paths import MARKER
from .._common.project import paths_by_project, taking_over
from .._common.texts import printable
from .._monitoring.config import CONFIG, MOST


@dataclass(frozen=True)
class Configuration:
    """What a project measures on this host."""

    services: tuple[Mapping[str, Any], ...] = ()  # as _monitoring/config.py has them
    campaigns: Mapping[str, str] = field(default_factory=dict)  # flag files by their queues
    exporters: tuple[str, ...] = ()
    listen_address: str = ""
    server: str = ""  # the Redis with its queues
    database: int = 0
    queues: tuple[str, ...] = ()

    def file(self) -> File:
        data = {
            "managed_by": MARKER.lstrip("# "),
            "services": list(self.services),
            "campaigns": dict(self.campaigns),
            "exporters": {"names": list(self.exporters), "listen_address": self.listen_address},
        }
        if "redis" in self.exporters:
            data["redis"] = {"server": self.server, "database": self.database, "queues": list(self.queues)}
        return File(json.dumps(data, indent=2, sort_keys=True).encode() + b"\n")

    @property
    def names(self) -> set[str]:
        return {str(service.get("name")) for service in self.services}


There = Mapping[str, Configuration]  # by their projects; empty: that of plays without a project's name


@dataclass(frozen=True)
class Play:
    """What a play wants.

    take_over: names of services that are its own from now on, whosever they were.
    """

    project: str
    wanted: Configuration
    take_over: Collection[str] = ()


def there() -> dict[str, Configuration]:
    """The configurations on this host. One that is damaged measures nothing."""
    return {project: _read(path) for project, path in paths_by_project(CONFIG).items()}


def _read(path: Path) -> Configuration:
    try:
        stored = json.loads(files.read_start(path, MOST))
        exporters, redis = stored["exporters"], stored.get("redis", {})
        return Configuration(
            services=tuple(service for service in stored["services"] if isinstance(service, dict)),
            campaigns=stored["campaigns"],
            exporters=tuple(map(str, exporters["names"])),
            listen_address=str(exporters["listen_address"]),
            server=str(redis.get("server", "")),
            database=int(redis.get("database", 0)),
            queues=tuple(map(str, redis.get("queues", ()))),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Configuration()


def errors(play: Play, configurations: There) -> Iterator[str]:
    """Why the play can't share this host with the other projects, each a sentence."""
    yield from left_alone(play, configurations)
    for project, other in configurations.items():
        if project != play.project and other.exporters:
            whose = f"project '{project}'" if project else "a play without a project"
            yield from _differences(play.wanted, other, whose)


def _differences(own: Configuration, other: Configuration, whose: str) -> Iterator[str]:
    """The exporters are shared, so what they are set to has to be the same."""
    if own.exporters and own.listen_address != other.listen_address:
        yield (
            f"monitoring_listen_address is {printable(own.listen_address)}, but {printable(other.listen_address)} for"
            f" {whose} on this host, and both share the exporters. Set it alike in both."
        )
    if "redis" not in own.exporters or "redis" not in other.exporters:
        return
    if own.server != other.server:
        yield (
            f"monitoring_redis_url: the exporter of this host counts the queues of Redis at {printable(other.server)}"
            f" for {whose}, and can't count those at {own.server}, too. Leave redis out of monitoring_exporters in one"
            " of them."
        )
    elif own.database != other.database:
        for queue in sorted(set(own.queues) & set(other.queues)):
            yield (
                f"The queue '{printable(queue)}' exists in database {own.database} and, for {whose}, in database"
                f" {other.database} of one Redis, where the exporter can't tell them apart. Rename it in one of them,"
                " or leave redis out of monitoring_exporters there."
            )


def left_alone(play: Play, configurations: There) -> Iterator[str]:
    """A sentence if the configuration of plays without a project's name may be another inventory's."""
    names = configurations[""].names if not play.project and "" in configurations else set()
    if names and not names & {*play.wanted.names, *play.take_over}:
        yield (
            f"This host measures {printable(', '.join(sorted(names)))} for a play without a project, which may not have"
            " been this one, so that is left as it is. Set evenkeel_project in each play that deploys to this host. If"
            f" the services are this one's, and to be replaced by its list, add {taking_over(min(names))}."
        )
