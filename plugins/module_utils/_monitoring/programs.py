# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else the report asks of programs that our roles have installed: stuck jobs and stale processes.

Both only look. A program that is not installed leaves its question open.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._common import processes, systemd
from .._common.paths import CONFIGURATION, PROGRAMS
from .._common.programs import ENVIRONMENT
from .._common.texts import printable
from .config import Service

CLEAN_UP = f"{PROGRAMS}/cleanup_stuck_jobs.py"
PATIENCE = 180  # seconds for a dry run: it asks the workers
SEARCH = 60  # seconds for a search of processes
MOST = 2**24  # bytes of what a program writes
MOST_JOBS = 5  # of a database that are named
LONGEST = 300  # characters of a reason
MOST_STALE = 50
MOST_COUNT = 2**53  # which any reader of JSON can take


@dataclass
class StuckDatabase:
    """The stuck jobs of a database."""

    name: str
    count: int
    skipped: int
    oldest: float | None  # seconds
    error: str
    jobs: list[str]  # the first of them


@dataclass
class Stuck:
    """The stuck jobs of all databases. known: whether all could be looked at; why: why not."""

    known: bool = False
    why: str = ""
    count: int = 0
    skipped: int = 0
    oldest: float = 0.0  # seconds; 0: none
    databases: list[StuckDatabase] = field(default_factory=list)


def stuck_jobs(age: str = "") -> Stuck:
    """A dry run of the clean-up in all projects. age: instead of the databases' thresholds."""
    configs = sorted(map(str, Path(CONFIGURATION).glob("job_cleanup*.json")))
    if not Path(CLEAN_UP).exists() or not configs:
        return Stuck(why="the role job_cleanup is not on this host")
    found, why = Stuck(), []
    for config in configs:
        command = [CLEAN_UP, "--dry-run", "--json", "--config", config, *(["--threshold", age] if age else [])]
        result = processes.run(command, PATIENCE, MOST, env=ENVIRONMENT)
        try:
            found.databases += [_database(data) for data in json.loads(result.output)["databases"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            said = (result.error.strip() or "it gave no answer").splitlines()[-1]
            why.append(f"exceeded its limit of {result.exceeded}" if result.exceeded else printable(said, LONGEST))
    why += [database.error for database in found.databases if database.error]
    found.known, found.why = not why, "; ".join(dict.fromkeys(why))
    found.count = _bounded(sum(database.count for database in found.databases))
    found.skipped = _bounded(sum(database.skipped for database in found.databases))
    found.oldest = max((database.oldest or 0.0 for database in found.databases), default=0.0)
    return found


def _database(data: dict[str, Any]) -> StuckDatabase:
    return StuckDatabase(
        name=printable(data["name"]),
        count=_bounded(sum(sum(actions.values()) for actions in data["counts"].values())),
        skipped=_bounded(data["skipped_count"]),
        oldest=None if data["oldest_seconds"] is None else _bounded(data["oldest_seconds"]),
        error=printable(data["error"], LONGEST),
        jobs=[printable(change["id"]) for change in data["changes"][:MOST_JOBS]],
    )


def _bounded(number: float) -> float:
    """Raises TypeError."""
    return max(0, min(number, MOST_COUNT))


def stale_processes(service: Service) -> list[str] | None:
    """Processes of its application that no unit manages, each in words; None if nobody has looked.

    By the search that precedes each start of the service, asked to report only.
    """
    unit = f"evenkeel-stale-{service.kind}s-{service.name}"
    command = _report_only(systemd.show([unit], ["ExecStart"]).get(unit, {}).get("ExecStart", ""))
    if not command:
        return None
    result = processes.run(command, SEARCH, MOST, env=ENVIRONMENT)
    if result.exceeded or result.status != 0:
        return None
    lines = [line.partition(": ")[2] for line in result.output.splitlines() if line.endswith(": stale")]
    return [printable(line.removesuffix(": stale"), LONGEST) for line in lines[:MOST_STALE]]


def _report_only(start: str) -> list[str]:
    """The search's command in a unit, as `systemctl show` prints it, but to end nothing; empty if there is none."""
    found = re.search(r"argv\[\]=(.*?) ; ignore_errors=", start)
    try:
        words = shlex.split(found[1]) if found else []
    except ValueError:
        return []
    kept = [word for word in words if not word.startswith(("--action=", "--reason=", "--timeout="))]
    return [*kept, "--action=report"] if any(word.endswith("/stale_workers.py") for word in kept) else []
