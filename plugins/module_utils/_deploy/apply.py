# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the state of this host's services, and changes them, each as a whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Callable

from .._common import files, locks, paths, systemd
from .._common.paths import unit_path
from . import store
from .deployment import Deployment, first_line
from .plan import Change, Found


class NotUpError(Exception):
    """A service did not start or did not stay up, and was rolled back. `done`: the changes made before it."""

    def __init__(self, reason: str, done: list[Change]) -> None:
        super().__init__(reason)
        self.done = done


class BusyError(Exception):
    """Another run is changing this host's services."""


@contextlib.contextmanager
def only_one_run() -> Iterator[None]:
    """Raises BusyError if another run is active: one that lost its connection may still be working."""
    files.make_directory(paths.STATE)
    with contextlib.ExitStack() as held:
        try:
            for lock in store.locks():
                held.enter_context(locks.hold(lock))
        except locks.Busy as busy:
            raise BusyError(
                f"Another run (process {busy.holder}) is changing this host's services, or waiting for their active"
                " tasks to finish. Run this again once it has ended."
            ) from None
        store.prepare()
        yield


def find(services: Mapping[str, Sequence[str]]) -> dict[str, Found]:
    """The state of these services, each given by its name and the paths of its files."""
    units = systemd.look(sorted(services))
    return {name: _find(name, services[name], unit) for name, unit in units.items()}


def _find(name: str, service_paths: Sequence[str], unit: systemd.Unit) -> Found:
    there = {path: files.read(path) for path in service_paths}
    return Found(
        files={path: file for path, file in there.items() if file},
        active=unit.active,
        ready=unit.ready,
        enabled=unit.enabled,
        elsewhere=unit.load_state == "loaded" and unit.fragment not in ("", unit_path(name)),
        project=store.owner(name).project,
        state=store.recall(name),
        generations=store.read_generations(name, service_paths),
        original=store.read_original(name),
    )


def carry_out(
    changes: Sequence[Change], found: Mapping[str, Found], owner: store.Owner, warn: Callable[[str], None]
) -> None:
    """Makes the changes one after another: a service has started and stayed up before the next is touched.

    The first service that fails is rolled back, and those after it are not touched. Raises NotUpError. `warn` is told
    what a reader of the result has to know beside it.
    """
    for number, change in enumerate(changes):
        try:
            reason = Deployment(change, found[change.name], owner, warn).make()
        except (systemd.SystemdError, OSError) as error:
            reason = f"{change.name} is partly changed: {first_line(error)}. Run this again to complete or undo it."
        if reason:
            raise NotUpError(reason, list(changes[:number]))


def remove_unused(programs: Iterable[str]) -> None:
    """Removes those of the programs that no generation calls."""
    for path in programs:
        if not store.calls(path):
            files.write(path, None)
