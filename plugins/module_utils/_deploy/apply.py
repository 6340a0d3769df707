# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the services of this host, and makes changes to them, each as a whole or not at all."""

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
    """A service did not start, or not stay up; what ran before runs again. `done` are the changes before it."""

    def __init__(self, reason: str, done: list[Change]) -> None:
        super().__init__(reason)
        self.done = done


class BusyError(Exception):
    """Another run is changing this host's services."""


@contextlib.contextmanager
def only_one_run() -> Iterator[None]:
    """Keeps a second run out: one whose connection was lost may still be at work when the next begins."""
    files.make_directory(paths.STATE)
    with contextlib.ExitStack() as held:
        try:
            for lock in store.locks():
                held.enter_context(locks.hold(lock))
        except locks.Busy as busy:
            raise BusyError(
                f"Another run (process {busy.holder}) is changing this host's services, or waiting for their active"
                " tasks to finish. Run this again when it has ended."
            ) from None
        store.prepare()
        yield


def find(services: Mapping[str, Sequence[str]]) -> dict[str, Found]:
    """What there is of these services, given the paths of their files by their names."""
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
    """Makes the changes, one after another: a service has started and stayed up before the next is touched.

    The first that does not is undone: its former files come back and run. Those after it are not touched. Raises
    NotUpError.
    """
    for number, change in enumerate(changes):
        try:
            reason = _make(change, found[change.name], kind)
        except (systemd.SystemdError, OSError) as error:
            reason = f"{change.name} is left half changed: {_brief(error)}. Run this again to complete or undo it."
        if reason:
            raise NotUpError(reason, list(changes[:number]))


def _make(change: Change, found: Found, kind: str) -> str:
    """Makes one change. If it has to be undone, says why."""
    try:
        _begin(change, found, kind)
        _switch(change)
    except (systemd.SystemdError, OSError) as error:
        return _undo(change, found, kind, _invocation(change.name), f"did not start: {_brief(error)}")
    invocation = _invocation(change.name)
    try:
        if _stays_up(change, invocation):
            store.remember(change.name, kind, settled(change, found))
            return ""
        why = f"started, but did not stay up for {change.stay_up:g} s"
    except (systemd.SystemdError, OSError) as error:
        why = f"started, but could not be watched: {_brief(error)}"
    return _undo(change, found, kind, invocation, why)


def _begin(change: Change, found: Found, kind: str) -> None:
    """Keeps all that a way back needs."""
    if change.keep:
        store.keep_original(change.name, change.keep)
    after = {path: file for path, file in {**found.files, **change.files}.items() if file}
    for service_files in (found.files, after):
        store.keep_generation(change.name, service_files)
    # Ours from here on, should this run be interrupted.
    store.remember(change.name, kind, begun(change, found, generation(after)))


def _stays_up(change: Change, invocation: str) -> bool:
    """Whether this very run of the service lasts for as long as it has to."""
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
    """Puts back what ran before; says what happened and why."""
    back = fall_back(change, found)
    if not change.files and not found.state.pending:
        outcome = "Nothing of it has changed, so there is nothing to roll back to."
    else:
        try:
            _switch(back)
            outcome = "It was rolled back and runs." if back.run else "It was rolled back; it did not run before."
        except (systemd.SystemdError, OSError) as error:
            outcome = f"Its former files are back, but it does not start with them either: {_brief(error)}."
    state = replace(found.state, current=back.current, pending=None, rolled_back=back.rolled_back)
    store.remember(change.name, kind, state)
    # Read last: by now all that it said at its end has arrived.
    return f"{change.name} {why}. {outcome}\nIts journal:\n{systemd.journal(invocation)}"


def _invocation(name: str) -> str:
    """The ID of the service's current run; empty if systemd does not answer."""
    try:
        return systemd.look([name])[name].invocation
    except systemd.SystemdError:
        return ""


def _brief(error: Exception) -> str:
    """What systemctl says, without its advice to read the journal, which follows."""
    return str(error).split("\n", 1)[0].rstrip(".")


def _switch(change: Change) -> None:
    """Replaces the service's files, and restarts or stops it."""
    service, own = f"{change.name}.service", unit_path(change.name)
    # First, while the unit that is there still says which links it has and how it stops.
    if systemd.look([change.name])[change.name].exists:
        if own in change.files and is_ours(change.files[own]) != is_ours(files.read(own)):
            systemd.run("systemctl", "disable", "--quiet", service)
        if not change.run:
            systemd.run("systemctl", "stop", service)
    for path, file in change.files.items():
        files.write(path, file)
    programs = Path(program_directory(change.name))
    if not any(programs.glob("*.py")):
        shutil.rmtree(programs, ignore_errors=True)  # nothing but Python's cache is left there
    systemd.run("systemctl", "daemon-reload")
    if change.enabled:
        systemd.run("systemctl", "enable", "--quiet", service)
    _forget_failures(service)
    if change.run:
        systemd.run("systemctl", "restart", service)


def _forget_failures(service: str) -> None:
    """Earlier crashes must not count against this start (StartLimitBurst=); a unit that is gone has none."""
    with contextlib.suppress(systemd.SystemdError):
        systemd.run("systemctl", "reset-failed", service)
