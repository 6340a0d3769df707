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
from typing import Any

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
CONFIG = f"{CONFIGURATION}/job_cleanup.json"
RECORDS = api.Database.record_directory
LOCK = f"{STATE}/job_cleanup.lock"
CRON = "/etc/cron.d/evenkeel-job-cleanup"

TIMES = tuple(option.name for option in SCHEDULE)  # in the order of crontab(5)
MODULE_UTILS = api.__name__.rpartition("._stuck_jobs")[0]


@dataclass(frozen=True)
class Cron:
    """When and as whom cron runs the script."""

    schedule: Mapping[str, str]  # by crontab(5)'s fields; a missing one is *, the minutes */10
    user: str

    def __str__(self) -> str:
        times = {**dict.fromkeys(TIMES, "*"), "minute": "*/10", **self.schedule}
        # One run at a time. Its output goes to the journal. By their paths, as cron's PATH may be any.
        command = ["/usr/bin/systemd-cat", "-t", "evenkeel-job-cleanup", "/usr/bin/flock", "-n"]
        command += [f"{RECORDS}/{self.user}", SCRIPT, "--quiet"]
        line = shlex.join(command).replace("%", "\\%")  # cron would end the command at a %
        return f"{MARKER}\n{' '.join(times[each] for each in TIMES)} {self.user} {line}\n"


@dataclass(frozen=True)
class Wanted:
    """What has to be on the host; all other files of ours are removed."""

    files: Mapping[str, File] = field(default_factory=dict)  # by path
    users: Sequence[Identity] = ()  # each has a private directory for the records of its runs


def wanted(
    script: str,
    databases: Sequence[Mapping[str, Any]],
    metrics_file: str,
    users: Sequence[Identity],
    cron: Cron | None,
) -> Wanted:
    config = {"managed_by": MARKER.lstrip("# "), "metrics_file": metrics_file, "databases": list(databases)}
    files = {
        **engine(),
        CONFIG: File(json.dumps(config, indent=2, sort_keys=True).encode() + b"\n"),
        SCRIPT: File(script.rstrip("\n").encode() + b"\n", 0o755),
    }
    if cron:
        files[CRON] = File(str(cron).encode())
    return Wanted(files, users)


def engine() -> dict[str, File]:
    """The script's engine: all modules of it that are imported here. A loader reads them from Ansible's archive too."""
    found = {f"{ENGINE}/__init__.py": File(b"")}
    for name, module in sorted(sys.modules.items()):
        if name.startswith((f"{MODULE_UTILS}._common", f"{MODULE_UTILS}._stuck_jobs")):
            path = Path(ENGINE, *name[len(MODULE_UTILS) + 1 :].split("."))
            path = path / "__init__.py" if hasattr(module, "__path__") else path.with_suffix(".py")
            found[str(path)] = File(module.__loader__.get_data(module.__file__))
    return found
