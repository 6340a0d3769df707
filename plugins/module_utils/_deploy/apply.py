# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the state of this host's services, and changes them, each as a whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .._common import files, locks, paths, systemd
from .._common.paths import program_directory, unit_path
from . import store
from .plan import Change, Found, begun, fall_back, generation, is_ours, settled

LOOK_EVERY = 0.5  # seconds


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
        state=store.recall(name),
        generations=store.read_generations(name, service_paths),
        original=store.read_original(name),
    )


def carry_out(changes: Sequence[Change], found: Mapping[str, Found], kind: str) -> None:
    """Makes the changes one after another: a service has started and stayed up before the next is touched.

    The first service that fails is rolled back, and those after it are not touched. Raises NotUpError.
    """
    for number, change in enumerate(changes):
        try:
            reason = _make(change, found[change.name], kind)
        except (systemd.SystemdError, OSError) as error:
            reason = f"{change.name} is partly changed: {_first_line(error)}. Run this again to complete or undo it."
        if reason:
            raise NotUpError(reason, list(changes[:number]))


def _make(change: Change, found: Found, kind: str) -> str:
    """Makes one change. Returns why it had to be rolled back, or an empty text."""
    try:
        _begin(change, found, kind)
        _switch(change)
    except (systemd.SystemdError, OSError) as error:
        return _undo(change, found, kind, _invocation(change.name), f"did not start: {_first_line(error)}")
    invocation = _invocation(change.name)
    try:
        if _stays_up(change, invocation):
            store.remember(change.name, kind, settled(change, found))
            return ""
        why = f"started, but did not stay up for {change.stay_up:g} s"
    except (systemd.SystemdError, OSError) as error:
        why = f"started, but could not be monitored: {_first_line(error)}"
    return _undo(change, found, kind, invocation, why)


def _begin(change: Change, found: Found, kind: str) -> None:
    """Stores everything that a rollback needs."""
    if change.keep:
        store.keep_original(change.name, change.keep)
    after = {path: file for path, file in {**found.files, **change.files}.items() if file}
    for service_files in (found.files, after):
        store.keep_generation(change.name, service_files)
    # From here on the service is recorded as ours, even if this run is interrupted.
    store.remember(change.name, kind, begun(change, found, generation(after)))


def _stays_up(change: Change, invocation: str) -> bool:
    """Whether the service runs for as long as it has to without being restarted."""
    until = time.monotonic() + change.stay_up
    while change.stay_up:
        unit = systemd.look([change.name])[change.name]
        if not unit.ready or unit.invocation != invocation:
            return False
        if time.monotonic() >= until:
            break
        time.sleep(LOOK_EVERY)
    return True


def _undo(change: Change, found: Found, kind: str, invocation: str, why: str) -> str:
    """Rolls the change back. Returns what happened, why, and the service's journal."""
    back = fall_back(change, found)
    is_back = True
    if not change.files and not found.state.pending:
        outcome = "None of its files had changed, so there was nothing to roll back."
    else:
        try:
            _switch(back)
            outcome = "It was rolled back and runs." if back.run else "It was rolled back. It did not run before."
        except (systemd.SystemdError, OSError) as error:
            is_back = False  # the generation stays pending: the host may be going down, and the next run completes this
            outcome = f"It was rolled back, but does not start with its previous files either: {_first_line(error)}."
    if is_back:
        state = replace(found.state, current=back.current, pending=None, rolled_back=back.rolled_back)
        store.remember(change.name, kind, state)
    # The journal is read last: by now its last lines have arrived.
    return f"{change.name} {why}. {outcome}\nIts journal:\n{systemd.journal(invocation)}"


def _invocation(name: str) -> str:
    """The ID of the service's current run; empty if systemd does not answer."""
    try:
        return systemd.look([name])[name].invocation
    except systemd.SystemdError:
        return ""


def _first_line(error: Exception) -> str:
    """The error without systemctl's advice to read the journal, as the journal follows anyway."""
    return str(error).split("\n", 1)[0].rstrip(".")


def _switch(change: Change) -> None:
    """Replaces the service's files, and restarts or stops it."""
    service, own = f"{change.name}.service", unit_path(change.name)
    # Before its file is replaced: disable and stop act on the unit as it is loaded now.
    if systemd.look([change.name])[change.name].exists:
        if own in change.files and is_ours(change.files[own]) != is_ours(files.read(own)):
            systemd.run("systemctl", "disable", "--quiet", service)
        if not change.run:
            systemd.run("systemctl", "stop", service)
    for path, file in change.files.items():
        files.write(path, file)
    programs = Path(program_directory(change.name))
    if not any(programs.glob("*.py")):
        shutil.rmtree(programs, ignore_errors=True)  # only Python's bytecode is left there
    systemd.run("systemctl", "daemon-reload")
    if change.enabled:
        systemd.run("systemctl", "enable", "--quiet", service)
    _forget_failures(service)
    if change.run:
        systemd.run("systemctl", "restart", service)


def _forget_failures(service: str) -> None:
    """Earlier crashes must not count against this start (StartLimitBurst=). Fails for a unit that was removed."""
    with contextlib.suppress(systemd.SystemdError):
        systemd.run("systemctl", "reset-failed", service)
