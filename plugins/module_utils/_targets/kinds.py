# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of services that systemd runs for us: what each is made of. A new kind is an entry here."""

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
    """What a service of this kind is made of. Its files, programs too, are deployed and rolled back together."""

    name: str
    options: tuple[Option, ...]
    errors: Callable[[list[Instance]], Iterator[str]]
    unit: Callable[[Instance], str]
    programs: tuple[str, ...]  # file names of what each service has a copy of
    shared: tuple[str, ...]  # paths of what all services of this kind have in common; only ever replaced by newer ones

    def paths(self, service: str) -> tuple[str, ...]:
        """The paths of a service's files."""
        programs = (f"{program_directory(service)}/{program}" for program in self.programs)
        return (unit_path(service), environment_path(service), *programs)

    def files(self, instance: Instance, programs: Mapping[str, str]) -> Files:
        """The files of a service; `programs` are the texts of ours by their file names."""
        texts = [self.unit(instance), environment(instance), *(programs[program] for program in self.programs)]
        modes = [0o644, 0o600, *[0o644] * len(self.programs)]
        paths = self.paths(instance["name"])
        return {path: File(text.encode(), mode) for path, text, mode in zip(paths, texts, modes)}

    def shared_files(self, programs: Mapping[str, str]) -> Files:
        """What all services of this kind have in common."""
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
