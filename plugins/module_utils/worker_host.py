# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the workers' traces on this host, and carries out changes to them, each as a whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass, replace
from typing import Iterable, Iterator, Mapping

from ansible_collections.evenkeel.celery.plugins.module_utils import celery_unit, worker_store
from ansible_collections.evenkeel.celery.plugins.module_utils._common import systemd
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_workers import (
    Change,
    Found,
    begun,
    fall_back,
    generation,
    is_ours,
    settled,
)

LOOK_EVERY = 0.5  # seconds


class NotUp(Exception):
    """Workers did not come up, or not stay up; what was there before runs again. `done` is what did."""

    def __init__(self, reasons: list[str], done: list[Change]) -> None:
        super().__init__("\n\n".join(reasons))
        self.done = done


class Busy(Exception):
    """Another run is changing this host's workers."""


@contextlib.contextmanager
def only_one_run() -> Iterator[None]:
    """A run whose connection was lost may still be at work when the next one begins."""
    worker_store.STORE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with worker_store.STORE.with_name("workers.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Busy(
                f"Another run (process {lock.read().strip()}) is changing this host's workers, or waits for their tasks"
                " to finish. Run again when it has ended."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def find(names: Iterable[str]) -> dict[str, Found]:
    names = sorted(set(names))
    units = systemd.look(names)
    return {name: _find(name, units[name]) for name in names}


def _find(name: str, unit: systemd.Unit) -> Found:
    read = {path: worker_store.read(path) for path in worker_store.paths(name)}
    return Found(
        files={path: file for path, file in read.items() if file},
        active=unit.active,
        ready=unit.ready,
        enabled=unit.enabled,
        elsewhere=unit.load_state == "loaded" and unit.fragment not in ("", celery_unit.unit_path(name)),
        state=worker_store.recall(name),
        generations=worker_store.read_generations(name),
        original=worker_store.read_original(name),
    )


@dataclass
class _Begun:
    """A change whose worker came up, and has yet to stay up."""

    change: Change
    run: str  # systemd's name for this one run of the service
    until: float  # by the monotonic clock


def carry_out(changes: list[Change], found: Mapping[str, Found]) -> None:
    """Make the changes, one after another, each when the worker before is ready; then see whether they stay up.

    What does not is undone: its files of before are put back and run. The rest is left undone then. Raises NotUp.
    """
    up: list[_Begun] = []
    reasons = []
    for change in changes:
        try:
            up.append(_begin(change, found[change.name]))
        except (systemd.SystemdError, OSError) as error:
            run = systemd.look([change.name])[change.name].run
            reasons.append(_undo(change, found[change.name], run, f"did not come up: {_brief(error)}"))
            break
    done = []
    for each, stayed in _watch(up):
        if stayed:
            worker_store.remember(each.change.name, settled(each.change, found[each.change.name]))
            done.append(each.change)
        else:
            why = f"came up, but did not stay up for {each.change.stay_up:g} s"
            reasons.append(_undo(each.change, found[each.change.name], each.run, why))
    if reasons:
        raise NotUp(reasons, done)


def _begin(change: Change, found: Found) -> _Begun:
    if change.keep:
        worker_store.keep_original(change.name, change.keep)
    after = {path: file for path, file in {**found.files, **change.files}.items() if file}
    for files in (found.files, after):
        worker_store.keep_generation(change.name, files)
    # Ours from here on, should this run end too early. This also forgets the generations that nobody needs.
    worker_store.remember(change.name, begun(change, found, generation(after)))
    _switch(change)
    run = systemd.look([change.name])[change.name].run
    return _Begun(change, run, time.monotonic() + change.stay_up)


def _watch(up: list[_Begun]) -> Iterator[tuple[_Begun, bool]]:
    """Each with whether it stayed up, as soon as that is known: all are watched at once."""
    while up:
        units = systemd.look([each.change.name for each in up])
        waiting = []
        for each in up:
            unit = units[each.change.name]
            if each.change.stay_up and not (unit.ready and unit.run == each.run):
                yield each, False
            elif time.monotonic() >= each.until:
                yield each, True
            else:
                waiting.append(each)
        up = waiting
        if up:
            time.sleep(LOOK_EVERY)


def _undo(change: Change, found: Found, run: str, why: str) -> str:
    """Put back what ran before; returns what happened and why."""
    back = fall_back(change, found)
    if not change.files and not found.state.trying:
        outcome = "Nothing about it has changed, so there is nothing to go back to."
    else:
        try:
            _switch(back)
            outcome = "The worker of before runs again." if back.run else "No worker ran before, and none does now."
        except (systemd.SystemdError, OSError) as error:
            outcome = f"Its files of before are back, but that doesn't come up either: {_brief(error)}."
    state = replace(found.state, deployed=back.deployed, trying=None, went_back=back.went_back)
    worker_store.remember(change.name, state)
    # Last, when what it said at its end has certainly arrived.
    return f"{change.name} {why}. {outcome}\nIts journal:\n{systemd.journal(run)}"


def _brief(error: Exception) -> str:
    """What systemctl says, without its advice to read the journal: that follows."""
    return str(error).split("\n", 1)[0].rstrip(".")


def _switch(change: Change) -> None:
    """Let the change's files take the place of those that are there, and the worker run, anew, or not."""
    service, own = f"{change.name}.service", celery_unit.unit_path(change.name)
    # First, while the unit that is there still says which links it has and how it stops.
    if systemd.look([change.name])[change.name].exists:
        if own in change.files and is_ours(change.files[own]) != is_ours(worker_store.read(own)):
            systemd.run("systemctl", "disable", "--quiet", service)
        if not change.run:
            systemd.run("systemctl", "stop", service)
    for path, file in change.files.items():
        worker_store.write(path, file)
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
