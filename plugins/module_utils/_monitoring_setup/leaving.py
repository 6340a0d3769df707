# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no project on this host needs any more: exporters that we have installed, and the login of one that is gone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from .._common import files
from .._common.environment_files import variables
from .._common.files import File
from .exporters import EXPORTERS, REDIS_ENVIRONMENT, came_with_us
from .projects import Configuration, There

_MOST = 2**16  # bytes


def unneeded(drop_ins: Mapping[str, File | None], wanted: Collection[str]) -> dict[str, str]:
    """The installed exporters that came with us and are not wanted, each with a reason to keep it, or an empty text."""
    return {
        name: each.needed_otherwise()
        for name, each in EXPORTERS.items()
        if name not in wanted and each.installed and came_with_us(drop_ins[each.drop_in])
    }


def warnings(unneeded: Mapping[str, str], project: str, before: There, after: There) -> Iterator[str]:
    """What stays although this project no longer needs it. before, after: the configurations of all projects."""
    for each, reason in ((EXPORTERS[name], reason) for name, reason in unneeded.items() if reason):
        yield (
            f"{each.package} is not removed, as {reason}. It runs on with its own settings, by default on port"
            f" {each.port} of all addresses. Set them in {each.arguments_file}, or remove the package."
        )
    others = [f"project '{name}'" if name else "the play without a project" for name in sorted(_counted(after))]
    if project in _counted(before) - _counted(after) and others and _logs_in():
        yield (
            "The exporter of Redis is still needed, and may log in with the password of this project. It gets another"
            f" one from the next run of {' or '.join(others)} on this host."
        )


def _counted(configurations: Mapping[str, Configuration]) -> set[str]:
    """The projects whose queues are counted."""
    return {name for name, each in configurations.items() if "redis" in each.exporters}


def _logs_in() -> bool:
    """Whether the exporter of Redis has a password."""
    try:
        text = files.read_start(REDIS_ENVIRONMENT, _MOST).decode(errors="replace")
    except OSError:
        return False
    return "@" in variables(text).get("REDIS_ADDR", "")
