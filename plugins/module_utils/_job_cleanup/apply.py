# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the files of the clean-up of stuck jobs with those on the host, and writes the differences."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ansible_collections.evenkeel.celery.plugins.module_utils._common import files
from ansible_collections.evenkeel.celery.plugins.module_utils._common.paths import PROGRAMS
from ansible_collections.evenkeel.celery.plugins.module_utils._common.users import Identity
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.plan import (
    CRON,
    ENGINE,
    OLD_ENGINES,
    RECORDS,
    Wanted,
)


def look(wanted: Wanted) -> dict[str, files.File | None]:
    """The files on the host that are wanted, or are not any more, by their paths; None for a missing one."""
    engines = [ENGINE, *(old for old in OLD_ENGINES if Path(old, "__init__.py").exists())]  # else it is a service's
    packages = [str(path) for package in engines for path in sorted(Path(package).rglob("*.py")) if wanted.program]
    return {path: files.read(path) for path in (*wanted.files, *packages)}


def apply(before: dict[str, files.File | None], wanted: Wanted, check_mode: bool) -> list[str]:
    """Writes files that differ, removes those that are no longer wanted, and returns the paths of both."""
    changed = [path for path in before if before[path] != wanted.files.get(path)]
    changed.sort(key=lambda path: _order(path, wanted))
    records = [user for user in wanted.users if not _is_private(_records_of(user), user)]
    if not check_mode:
        for directory in {Path(path).parent for path, file in wanted.files.items() if file}:
            files.make_directory(directory)
        for user in records:
            _make_private(_records_of(user), user)
        for path in changed:
            files.write(path, wanted.files.get(path))
            _remove_empty(Path(path).parent)
    return [str(_records_of(user)) for user in records] + changed


def _order(path: str, wanted: Wanted) -> int:
    """Cron's files are removed first, and written last."""
    if path.startswith(CRON):
        return 2 if wanted.files.get(path) else 0
    return 1


def _records_of(user: Identity) -> Path:
    return Path(RECORDS, user.name)


def _is_private(directory: Path, user: Identity) -> bool:
    try:
        status = directory.lstat()
    except FileNotFoundError:
        return False
    return (status.st_uid, status.st_mode) == (user.uid, stat.S_IFDIR | 0o700)


def _make_private(directory: Path, user: Identity) -> None:
    files.make_directory(directory.parent)
    files.make_directory(directory, 0o700)
    with files.open_directory(directory) as opened:
        os.fchmod(opened, 0o700)
        os.fchown(opened, user.uid, user.gid)


def _remove_empty(directory: Path) -> None:
    """Removes a directory of the engine if it is empty, and then its parents."""
    while Path(PROGRAMS) in directory.parents and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent
