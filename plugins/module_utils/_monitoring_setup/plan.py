# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All files of the sampler and of the exporters' settings on a host, for all of its projects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from .._common.files import File
from .._common.paths import MARKER
from .._monitoring.config import config_path
from . import sampler
from .exporters import EXPORTERS, REDIS_ENVIRONMENT
from .projects import Configuration, There
from .redis_url import Redis

QUEUES = f"{sampler.DIRECTORY}/queues.lua"

Files = dict[str, Optional[File]]  # by their paths; None: the file is removed


@dataclass(frozen=True)
class Programs:
    """The sampler's program and engine, and the script of the exporter of Redis, without its data."""

    sampler: Mapping[str, File]
    queues: bytes


def after(project: str, wanted: Configuration | None, there: There) -> dict[str, Configuration]:
    """The configurations of all projects once this one has what it wants; None: nothing."""
    others = {name: each for name, each in there.items() if name != project}
    return others if wanted is None else {**others, project: wanted}


def files(
    project: str,
    configurations: There,
    programs: Programs,
    redis: Redis | None,
    before: Mapping[str, File | None],
) -> Files:
    """What has to be on the host.

    configurations: those of all projects, as they will be.
    redis: this play's; None if it counts no queues there.
    before: the drop-ins on the host.
    """
    own = configurations.get(project)
    names = exporters(configurations)
    address = next((each.listen_address for each in (own, *configurations.values()) if each and each.exporters), "")
    found: Files = {config_path(project): own.file() if own else None}
    for path, file in {**sampler.UNITS_OF_IT, **programs.sampler}.items():
        found[path] = file if configurations else None
    for name, exporter in EXPORTERS.items():
        found[exporter.drop_in] = exporter.file(in_url(address), before[exporter.drop_in]) if name in names else None
    found[QUEUES] = File(databases(configurations) + programs.queues) if "redis" in names else None
    if redis:
        found[REDIS_ENVIRONMENT] = environment(redis, address)
    elif "redis" not in names:
        found[REDIS_ENVIRONMENT] = None
    return found


def exporters(configurations: There) -> list[str]:
    """The names of those that a project wants."""
    return [name for name in EXPORTERS if any(name in each.exporters for each in configurations.values())]


def in_url(address: str) -> str:
    """The address as it stands before a port."""
    return f"[{address}]" if ":" in address else address


def environment(redis: Redis, address: str) -> File:
    """The settings of the exporter of Redis, for root only."""
    settings = {
        **redis.environment(),
        "REDIS_EXPORTER_DISABLE_EXPORTING_KEY_VALUES": "true",  # since 1.64, at /scrape?check-keys=…
        "REDIS_EXPORTER_SCRIPT": QUEUES,
        "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": f"{in_url(address)}:{EXPORTERS['redis'].port}",
    }
    lines = [f'{name}="{_escaped(value)}"\n' for name, value in sorted(settings.items())]
    return File(f"{MARKER}\n{''.join(lines)}".encode(), 0o600)


def _escaped(value: str) -> str:
    """In double quotes, as EnvironmentFile= has them (systemd.exec(5))."""
    return re.sub(r'(["\\`$])', r"\\\1", value)


def databases(configurations: There) -> bytes:
    """The line of Lua with the queues of each database."""
    queues: dict[int, set[str]] = {}
    for each in configurations.values():
        if "redis" in each.exporters:
            queues.setdefault(each.database, set()).update(each.queues)
    tables = [f"{{{number}, {{{', '.join(map(_lua, sorted(names)))}}}}}" for number, names in sorted(queues.items())]
    return f"local databases = {{{', '.join(tables)}}}\n".encode()


def _lua(text: str) -> str:
    """The text as a string of Lua, with all that could end it as a decimal escape."""
    plain = re.compile(rb"[\w.:@/ -]", re.ASCII)
    pieces = (bytes([byte]) for byte in text.encode())
    return '"' + "".join(piece.decode() if plain.fullmatch(piece) else f"\\{piece[0]:03d}" for piece in pieces) + '"'
