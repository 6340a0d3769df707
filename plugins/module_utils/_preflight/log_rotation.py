# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps logrotate from renaming the services' log files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath

from .._celery import log_file
from .._celery.options import Instance
from .._common import files, paths, programs
from .._common.texts import printable

_LONGEST = 2**20  # bytes of a configuration that are read


def warnings(instances: list[Instance]) -> Iterator[str]:
    """Each in a sentence."""
    found = {instance["name"]: path for instance in instances if (path := log_file.path(instance))}
    if found and not programs.find("logrotate"):
        yield f"{', '.join(found)}: logrotate is not installed, so log files grow without limit. Install it."
    for name, path in found.items():
        own = paths.logrotate_path(name)
        for configuration in sorted(Path(paths.LOGROTATE).glob("*")):
            if str(configuration) != own and any(PurePath(path).match(each) for each in _patterns(configuration)):
                yield (
                    f"{name}: {printable(configuration)} names the log file {path}, too, and logrotate ignores one of"
                    " the two configurations. Remove the path there, or set another log_file."
                )


def _patterns(configuration: Path) -> list[str]:
    """The paths that a configuration of logrotate contains."""
    try:
        text = files.read_start(configuration, _LONGEST).decode(errors="replace")
    except OSError:
        return []
    return re.findall(r"""(?<![^\s"'])/[^\s"'{}]+""", text)
