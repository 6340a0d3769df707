# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probe found about the databases of a Django application, as errors and warnings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .._celery.options import Instance
from .answer import Answer

_NOT_WRITTEN = ("read_only", "denied")
_OR_ELSE = "If no task writes to it, set check_databases: false."


def errors(instance: Instance, found: Answer) -> Iterator[str]:
    for database in _needed(instance, found):
        if database["state"] == "unusable":
            yield (
                f"database {database['name']!r} ({database['engine']}) can't be used: {database['why'].rstrip('.')}."
                " Start it, or correct DATABASES in the application's settings."
            )
        elif database["state"] in _NOT_WRITTEN and database["name"] == "default":
            yield f"{_not_written(instance, database)} {_OR_ELSE}"


def warnings(instance: Instance, found: Answer) -> Iterator[str]:
    for database in _needed(instance, found):
        if database["state"] == "absent":
            yield (
                f"database {database['name']!r}: {database['file']} does not exist. Run manage.py migrate, or correct"
                " its NAME in DATABASES."
            )
        elif database["state"] in _NOT_WRITTEN and database["name"] != "default":
            yield _not_written(instance, database)


def _needed(instance: Instance, found: Answer) -> list[dict[str, str]]:
    """A beat executes no task, so it needs databases only if its schedule is in one of them."""
    if instance["kind"] == "beat" and "django_celery_beat" not in found.get("scheduler", ""):
        return []
    return found.get("databases", [])


def _not_written(instance: Instance, database: dict[str, str]) -> str:
    file, user = database["file"], instance["user"]
    directory = Path(file).parent
    writable = {*map(Path, instance["writable_paths"])}
    if database["state"] == "read_only" and not writable & {directory, *directory.parents}:
        return (
            f"database {database['name']!r}: the sandbox makes {file} read-only. SQLite also writes files beside it, so"
            f" add its directory to writable_paths: {directory}."
        )
    return (
        f"database {database['name']!r}: {file} can't be written by user {user}: {database['why']}. Let that user write"
        " the file and its directory."
    )
