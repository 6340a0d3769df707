# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of services, and the files of each. Each kind is an entry of KINDS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

from .._celery import log_file
from .._celery.command import SCHEDULER, WATCHDOG
from .._celery.options import Instance
from .._common.files import File
from .._common.paths import PROGRAMS, environment_path, logrotate_path, program_directory, unit_path
from . import logrotate, stale_workers
from .systemd_unit import environment, unit

Files = dict[str, File]  # by their paths


@dataclass(frozen=True)
class Kind:
    """The files of a kind of service. They are deployed and rolled back together.

    units: what makes the text of each of a service's units, by what is put before the service's name.
    programs: file names of the programs, of which each service has its own copy.
    former: paths of programs that all services shared in an earlier version. They go once no generation calls them.
    """

    name: str
    units: Mapping[str, Callable[[Instance], str]]
    programs: tuple[str, ...]
    former: tuple[str, ...] = ()

    def paths(self, service: str) -> tuple[str, ...]:
        """The paths of a service's files."""
        units = (unit_path(f"{prefix}{service}") for prefix in self.units)
        programs = (f"{program_directory(service)}/{program}" for program in self.programs)
        return (*units, environment_path(service), logrotate_path(service), *programs)

    def files(self, instance: Instance, programs: Mapping[str, str]) -> Files:
        """The files of a service. `programs`: the texts of our programs by their file names."""
        units = [make(instance) for make in self.units.values()]
        programs_of_it = (programs[program] for program in self.programs)
        texts = [*units, environment(instance), logrotate.configuration(instance), *programs_of_it]
        modes = [*[0o644] * len(units), 0o600, 0o644, *[0o644] * len(self.programs)]
        paths = self.paths(instance["name"])
        return {path: File(text.encode(), mode) for path, text, mode in zip(paths, texts, modes) if text is not None}


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="worker",
            units={"": unit, stale_workers.PREFIXES["worker"]: stale_workers.search_unit},
            programs=(f"{WATCHDOG}.py", f"{log_file.MODULE}.py", stale_workers.PROGRAM),
            former=(f"{PROGRAMS}/{stale_workers.PROGRAM}",),
        ),
        Kind(
            name="beat",
            units={"": unit, stale_workers.PREFIXES["beat"]: stale_workers.search_unit},
            programs=(f"{SCHEDULER}.py", f"{log_file.MODULE}.py", stale_workers.PROGRAM),
        ),
    )
}
