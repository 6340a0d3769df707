# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files and directories of the clean-up of stuck jobs on a host."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from ansible_collections.evenkeel.celery.plugins.module_utils._common.files import File
from ansible_collections.evenkeel.celery.plugins.module_utils._common.paths import (
    CONFIGURATION,
    MARKER,
    PROGRAMS,
    STATE,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._common.users import Identity
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.options import SCHEDULE
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import api

SCRIPT = f"{PROGRAMS}/cleanup_stuck_jobs.py"
# The package that contains the engine's packages, as module_utils does here. No service name begins with '_'.
ENGINE = f"{PROGRAMS}/_engine"
OLD_ENGINES = (f"{PROGRAMS}/stuck_jobs",)  # where older versions installed it
CONFIG = f"{CONFIGURATION}/job_cleanup.json"  # of plays without a project's name
RECORDS = api.Database.record_directory
LOCK = f"{STATE}/job_cleanup.lock"
CRON = "/etc/cron.d/evenkeel-job-cleanup"


def config_path(project: str) -> str:
    """The configuration of a project."""
    return str(Path(CONFIG).with_suffix(f".{project}.json")) if project else CONFIG


def cron_path(project: str) -> str:
    """The schedule of a project."""
    return f"{CRON}-{project}" if project else CRON


TIMES = tuple(option.name for option in SCHEDULE)  # in the order of crontab(5)
MODULE_UTILS = api.__name__.rpartition("._stuck_jobs")[0]


@dataclass(frozen=True)
class Cron:
    """When and as whom cron runs the script."""

    schedule: Mapping[str, str]  # by crontab(5)'s fields; a missing one is *, the minutes */10
    user: str
    project: str = ""

    def __str__(self) -> str:
        times = {**dict.fromkeys(TIMES, "*"), "minute": "*/10", **self.schedule}
        # One run at a time. Its output goes to the journal. By their paths, as cron's PATH may be any.
        command = ["/usr/bin/systemd-cat", "-t", "evenkeel-job-cleanup", "/usr/bin/flock", "-n", self.lock]
        command += [SCRIPT, "--quiet", "--config", config_path(self.project)]
        line = shlex.join(command).replace("%", "\\%")  # cron would end the command at a %
        return f"{MARKER}\n{' '.join(times[each] for each in TIMES)} {self.user} {line}\n"

    @property
    def lock(self) -> str:
        """In a directory that only the user can enter. Each project has its own: they may have the same schedule."""
        return f"{RECORDS}/{self.user}/{self.project}.lock" if self.project else f"{RECORDS}/{self.user}"


Files = dict[str, Optional[File]]  # by their paths; None: the file is removed


@dataclass(frozen=True)
class Wanted:
    """What has to be on the host.

    program: whether the script and its engine are, or, if they are not among the files, are removed.
    users: each has a private directory for the records of its runs.
    """

    files: Files = field(default_factory=dict)
    program: bool = True
    users: Sequence[Identity] = ()


def wanted(configured: Files, script: str, users: Sequence[Identity]) -> Wanted:
    """configured: the configurations and schedules that change, also of other projects."""
    return Wanted({**configured, **engine(), SCRIPT: File(script.rstrip("\n").encode() + b"\n", 0o755)}, users=users)


def absent(project: str, last: bool) -> Wanted:
    """last: whether no other project needs the script."""
    files: Files = {config_path(project): None, cron_path(project): None}
    return Wanted({**files, SCRIPT: None} if last else files, program=last)


def configuration(
    databases: Sequence[Mapping[str, Any]], metrics_file: str, owners: Mapping[str, str] | None = None
) -> File:
    """owners: the databases' owners, whom monitoring believes what they tell of them."""
    config = {"managed_by": MARKER.lstrip("# "), "metrics_file": metrics_file, "databases": list(databases)}
    config["owners"] = dict(owners or {})
    return File(json.dumps(config, indent=2, sort_keys=True).encode() + b"\n")


def engine() -> dict[str, File]:
    """The script's engine: all modules of it that are imported here. A loader reads them from Ansible's archive too."""
    found = {f"{ENGINE}/__init__.py": File(b"")}
    for name, module in sorted(sys.modules.items()):
        if name.startswith((f"{MODULE_UTILS}._common", f"{MODULE_UTILS}._stuck_jobs")):
            path = Path(ENGINE, *name[len(MODULE_UTILS) + 1 :].split("."))
            path = path / "__init__.py" if hasattr(module, "__path__") else path.with_suffix(".py")
            found[str(path)] = File(module.__loader__.get_data(module.__file__))
    return found
