# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change on a host so that it runs the wanted services.

Pure: takes what was found and what is wanted, and returns changes; apply.py looks and acts. A service is a set of
files, one of them a systemd unit; its kind (_targets/kinds.py) defines the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from .._common.files import File
from .._common.paths import MARKER, unit_path


class PlanError(Exception):
    """What can't be done, and what to do next."""


Code = Mapping[str, str]  # the state of a service's code, by the paths that the service is restarted on


@dataclass(frozen=True)
class Original:
    """The original unit, which ours replaces: its file, if it has the same path as ours, and its state."""

    file: File | None
    elsewhere: bool  # it is in another of systemd's directories, and ours overrides it
    active: bool
    enabled: bool

    @property
    def exists(self) -> bool:
        return self.file is not None or self.elsewhere


@dataclass(frozen=True)
class State:
    """The generations of a service. A generation is a set of files that are deployed together.

    Its name is a hash of their content.
    """

    current: str | None = None  # the last one that started and stayed up; None: none of ours is in place
    previous: str | None = None  # the one that was current before it
    pending: str | None = None  # being deployed; also set after a run was interrupted
    rolled_back: bool = False  # the current one, or the pending one if there is one, was put in place by a rollback
    code: Code = field(default_factory=dict)  # as it was at the last start by a run; not part of a generation

    @property
    def ours(self) -> bool:
        return bool(self.current or self.pending)


@dataclass(frozen=True)
class Found:
    """A service's state on the host."""

    files: Mapping[str, File] = field(default_factory=dict)
    active: bool = False  # it runs, or systemd is trying to start it
    ready: bool = False  # it runs; a service in a crash loop is active most of the time, but not ready
    stopped: bool = False  # somebody has stopped it
    enabled: bool = False
    elsewhere: bool = False  # systemd has loaded its unit from another directory than ours
    project: str = ""  # the project that it belongs to, as it is stored
    state: State = State()
    generations: Mapping[str, Mapping[str, File]] = field(default_factory=dict)  # by their names
    original: Original | None = None


@dataclass(frozen=True)
class Change:
    """What to do with one service; it is rolled back as a whole if the service does not start or stay up."""

    name: str
    why: str
    files: Mapping[str, File | None] = field(default_factory=dict)  # None: remove
    run: bool = True  # restart it; otherwise stop it
    only_stored: bool = False  # leave it as it is, and store only to which project it belongs
    enabled: bool = True
    stay_up: float = 0  # seconds that it has to run before the change counts as successful
    current: str | None = None  # the generation that is in place afterwards
    rolled_back: bool = False  # whether that is a rollback
    keep: Original | None = None  # the original unit, to be stored first
    code: Code = field(default_factory=dict)  # with which it starts
    only_restart: bool = False  # nothing that is stored changes, but the state of the code


def generation(files: Mapping[str, File]) -> str:
    """The name of the generation of exactly these files."""
    parts = [f"{path} {file.mode:o} {hashlib.sha256(file.content).hexdigest()}" for path, file in sorted(files.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def is_ours(file: File | None) -> bool:
    return file is not None and MARKER.encode() in file.content


def plan_present(
    wanted: Mapping[str, Mapping[str, File]],
    found: Mapping[str, Found],
    stay_up: Mapping[str, float],
    restore_original: bool = False,
    code: Mapping[str, Code] | None = None,
) -> list[Change]:
    """Changes after which each wanted service runs as wanted, and all other services of ours in `found` are removed."""
    changes = [
        _deploy(name, files, found.get(name, Found()), stay_up[name], (code or {}).get(name, {}))
        for name, files in wanted.items()
    ]
    dropped = {name: service for name, service in found.items() if name not in wanted}
    return [change for change in changes if change] + plan_absent(dropped, restore_original)


def _deploy(name: str, files: Mapping[str, File], found: Found, stay_up: float, code: Code) -> Change | None:
    current, state = generation(files), found.state
    differing = _differing({**dict.fromkeys(found.files), **files}, found)
    if state.pending:
        why = "an earlier run was interrupted"
    elif differing:
        why = "changed" if state.current else "new"
    elif state.current != current:
        why = "not recorded"
    elif not found.ready:
        why = "not running"
    elif not found.enabled:
        why = "not enabled at boot"
    elif new_code := [path for path, text in code.items() if state.code.get(path) != text]:
        why = f"new code in {', '.join(new_code)}"
    else:
        return None
    unit = found.files.get(unit_path(name))
    keep = None
    not_ours = unit is not None and not is_ours(unit)
    nothing_known = unit is None and (found.original is None or found.elsewhere)
    # An interrupted run has already stored the original; the files that are there now may be partly changed.
    if not state.pending and (not_ours or (nothing_known and not state.current)):
        keep = Original(file=unit, elsewhere=found.elsewhere, active=found.active, enabled=found.enabled)
    return Change(name, why, files=differing, current=current, keep=keep, stay_up=stay_up, code=code)


def plan_restart(
    names: list[str], found: Mapping[str, Found], stay_up: Mapping[str, float], code: Mapping[str, Code]
) -> tuple[list[Change], list[str]]:
    """Changes that restart the services as they are, and a sentence for each that is left alone."""
    changes, left_alone = [], []
    for name in names:
        service = found.get(name, Found())
        if service.state.pending:
            raise PlanError(
                f"{name}: an earlier run was interrupted, or could not roll it back. Run evenkeel.celery.site or"
                " evenkeel.celery.rollback first, which complete it."
            )
        if not service.state.ours:
            left_alone.append(f"{name} is not deployed on this host. Run evenkeel.celery.site to deploy it.")
        elif service.stopped:
            left_alone.append(f"{name} was stopped and stays so. To start it: systemctl start {name}")
        else:
            changes.append(
                Change(
                    name,
                    "restart",
                    enabled=service.enabled,
                    stay_up=stay_up[name],
                    current=service.state.current,
                    code=code.get(name, {}),
                    only_restart=True,
                )
            )
    return changes, left_alone


def plan_project(
    names: Iterable[str], found: Mapping[str, Found], project: str, changes: Iterable[Change]
) -> list[Change]:
    """Changes after which those of the services that have no other change belong to the project, too."""
    changed = {change.name for change in changes}
    return [
        Change(name, "now of this project", current=found[name].state.current, only_stored=True)
        for name in names
        if name not in changed and found[name].project != project
    ]


def plan_absent(found: Mapping[str, Found], restore_original: bool = False) -> list[Change]:
    """Changes that remove the services that are ours; with `restore_original`, their original units run again."""
    changes = []
    for name, service in sorted(found.items()):
        if not service.state.ours:
            continue
        if restore_original and service.original and service.original.exists:
            changes.append(_restore(name, service.files, service.original))
        else:
            changes.append(Change(name, "not wanted", files=dict.fromkeys(service.files), run=False, enabled=False))
    return changes


def plan_original(names: list[str], found: Mapping[str, Found]) -> list[Change]:
    """Changes after which the original units run again."""
    ours = [name for name in names if name in found and found[name].state.ours]
    return [_restore(name, found[name].files, found[name].original) for name in ours if _has_original(found[name])]


def plan_previous(names: list[str], found: Mapping[str, Found], stay_up: Mapping[str, float]) -> list[Change]:
    """Changes after which each service runs its previous generation or, if there is none, its original unit."""
    changes = []
    for name in names:
        service = found.get(name, Found())
        state = service.state
        if not state.ours or (state.rolled_back and not state.pending):
            continue
        # After an interrupted deployment, the previous generation is the one that ran before it.
        target = state.current if state.pending and not state.rolled_back else state.previous
        files = service.generations.get(target or "")
        if files:
            why = "back to the previous generation"
            differing = _differing({**dict.fromkeys(service.files), **files}, service)
            changes.append(Change(name, why, differing, current=target, rolled_back=True, stay_up=stay_up[name]))
        elif _has_original(service):
            changes.append(_restore(name, service.files, service.original))
    return changes


def without_earlier_state(names: Iterable[str], found: Mapping[str, Found], changes: Iterable[Change]) -> Iterator[str]:
    """A sentence about each service that is not rolled back by these changes, as nothing was there before it."""
    changed = {change.name for change in changes}
    for name in names:
        service = found.get(name, Found())
        if name not in changed and service.state.ours and not service.state.rolled_back and not _has_original(service):
            yield (
                f"{name} is left as it is: there is nothing to roll back to, as there was no unit of this name before"
                " evenkeel.celery. To remove the service, remove it from the inventory's list, or set the role's state"
                " to absent."
            )


def _differing(files: Mapping[str, File | None], found: Found) -> dict[str, File | None]:
    return {path: file for path, file in files.items() if found.files.get(path) != file}


def _has_original(found: Found) -> bool:
    return found.original is not None and found.original.exists


def _restore(name: str, ours: Iterable[str], original: Original) -> Change:
    files = {**dict.fromkeys(ours), unit_path(name): original.file}
    why = "back to the original unit"
    return Change(name, why, files, run=original.active, enabled=original.enabled, rolled_back=True)


def fall_back(change: Change, found: Found) -> Change:
    """The change that rolls a change back: to what was found if that ran, else to what ran last."""
    name, state = change.name, found.state
    paths = {**found.files, **change.files}
    good = found.generations.get(state.current or "")
    if good and (state.pending or not found.ready):
        files = {**dict.fromkeys(paths), **good}
        return Change(name, "undone", files, run=bool(state.pending) or found.active, current=state.current)
    if not state.pending:
        files = {path: found.files.get(path) for path in change.files}
        rolled_back = state.rolled_back
        return Change(
            name,
            "undone",
            files,
            run=found.active,
            enabled=found.enabled,
            current=state.current,
            rolled_back=rolled_back,
        )
    if found.original and found.original.exists:
        return _restore(name, paths, found.original)
    return Change(name, "undone", dict.fromkeys(paths), run=False, enabled=False)


def begun(change: Change, found: Found, pending: str) -> State:
    """The state to store while a change is being made."""
    return replace(found.state, current=last_good(change.name, found), pending=pending, rolled_back=change.rolled_back)


def settled(change: Change, found: Found) -> State:
    """The state to store once the service has started and stayed up."""
    before = last_good(change.name, found)
    if change.current is None:
        return State()
    if change.rolled_back:
        return State(change.current, rolled_back=True)
    previous = found.state.previous if before == change.current else before
    return State(change.current, previous, code=change.code)


def last_good(name: str, found: Found) -> str | None:
    """The generation to roll back to: the one that runs, even if it was changed by hand, else the one that ran last."""
    runs = found.ready and not found.state.pending and is_ours(found.files.get(unit_path(name)))
    return generation(found.files) if runs else found.state.current
