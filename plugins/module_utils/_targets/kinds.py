# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of services, and the files of each. Each kind is an entry of KINDS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Callable

from .._celery.command import WATCHDOG
from .._celery.errors import errors
from .._celery.options import WORKER, Instance
from .._common.files import File
from .._common.options import Option
from .._common.paths import PROGRAMS, environment_path, program_directory, unit_path
from .systemd_unit import STALE_WORKERS, environment, unit

Files = dict[str, File]  # by their paths


@dataclass(frozen=True)
class Kind:
    """The files of a kind of service. A service's own files and programs are deployed and rolled back together.

    programs: file names of the programs of which each service has its own copy.
    shared: paths of the programs that all services of this kind share, and that are never rolled back.
    """

    name: str
    options: tuple[Option, ...]
    errors: Callable[[list[Instance]], Iterator[str]]
    unit: Callable[[Instance], str]
    programs: tuple[str, ...]
    shared: tuple[str, ...]

    def paths(self, service: str) -> tuple[str, ...]:
        """The paths of a service's files."""
        programs = (f"{program_directory(service)}/{program}" for program in self.programs)
        return (unit_path(service), environment_path(service), *programs)

    def files(self, instance: Instance, programs: Mapping[str, str]) -> Files:
        """The files of a service. `programs`: the texts of our programs by their file names."""
        texts = [self.unit(instance), environment(instance), *(programs[program] for program in self.programs)]
        modes = [0o644, 0o600, *[0o644] * len(self.programs)]
        paths = self.paths(instance["name"])
        return {path: File(text.encode(), mode) for path, text, mode in zip(paths, texts, modes)}

    def shared_files(self, programs: Mapping[str, str]) -> Files:
        """The files that all services of this kind share."""
        return {path: File(programs[path[len(PROGRAMS) + 1 :]].encode()) for path in self.shared}


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="worker",
            options=WORKER,
            errors=errors,
            unit=unit,
            programs=(f"{WATCHDOG}.py",),
            shared=(STALE_WORKERS,),
        ),
    )
}
