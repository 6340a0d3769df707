# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change on a host so that it runs the workers that are asked for.

Pure: what was found and what is wanted go in, changes come out. worker_host.py finds and carries out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Mapping

from ansible_collections.evenkeel.celery.plugins.module_utils import celery_unit


class PlanError(Exception):
    """What can't be done, and what to do next."""


@dataclass(frozen=True)
class File:
    """A file's content and mode; root owns all of ours."""

    content: bytes
    mode: int = 0o644
    link: str | None = None  # where it points, if it is a symbolic link, as `systemctl link` makes one


@dataclass(frozen=True)
class Original:
    """The unit that was there before us: its file, if it lay where ours goes, and how it stood."""

    file: File | None
    elsewhere: bool  # it lies in another directory of systemd's, where ours shadows it
    active: bool
    enabled: bool

    @property
    def exists(self) -> bool:
        return self.file is not None or self.elsewhere


@dataclass(frozen=True)
class State:
    """What we remember of a worker. A generation is a set of files that go out together, by the name of its content."""

    deployed: str | None = None  # the generation that last came up and stayed up; None: none of ours is in place
    previous: str | None = None  # the one before it
    trying: str | None = None  # the one on its way; it stays here when a run ends too early
    went_back: bool = False  # a rollback led to what is deployed or, while one is on its way, leads to that

    @property
    def ours(self) -> bool:
        return bool(self.deployed or self.trying)


@dataclass(frozen=True)
class Found:
    """A worker's traces on the host."""

    files: Mapping[str, File] = field(default_factory=dict)
    active: bool = False  # it runs, or systemd tries to
    ready: bool = False  # it runs: one that crashes again and again is active most of the time, but does no work
    enabled: bool = False
    elsewhere: bool = False
    state: State = State()
    generations: Mapping[str, Mapping[str, File]] = field(default_factory=dict)  # the ones that are kept
    original: Original | None = None


@dataclass(frozen=True)
class Change:
    """What to do with one worker, in one go that is undone as a whole when the worker doesn't come up."""

    name: str
    why: str
    files: Mapping[str, File | None] = field(default_factory=dict)  # None: remove
    run: bool = True  # afterwards it runs, anew
    enabled: bool = True
    stay_up: float = 0  # seconds that it has to run before it is believed
    deployed: str | None = None
    went_back: bool = False
    keep: Original | None = None  # to be kept before anything else happens


def wanted_files(instance: celery_unit.Instance, watchdog: str) -> dict[str, File]:
    name = instance["name"]
    return {
        celery_unit.unit_path(name): File(celery_unit.unit(instance).encode()),
        celery_unit.environment_path(name): File(celery_unit.environment(instance).encode(), 0o600),
        celery_unit.watchdog_path(name): File(watchdog.encode()),
    }


def generation(files: Mapping[str, File]) -> str:
    """A name for exactly these files."""
    parts = [f"{path} {file.mode:o} {hashlib.sha256(file.content).hexdigest()}" for path, file in sorted(files.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def is_ours(file: File | None) -> bool:
    return file is not None and celery_unit.MARKER.encode() in file.content


def plan_present(
    wanted: Mapping[str, Mapping[str, File]],
    found: Mapping[str, Found],
    stay_up: Mapping[str, float],
    restore_original: bool = False,
) -> list[Change]:
    """Changes after which each wanted worker runs as wanted, and no other worker of ours is left."""
    changes = [_deploy(name, files, found.get(name, Found()), stay_up[name]) for name, files in wanted.items()]
    dropped = {name: traces for name, traces in found.items() if name not in wanted}
    return [change for change in changes if change] + plan_absent(dropped, restore_original)


def _deploy(name: str, files: Mapping[str, File], found: Found, stay_up: float) -> Change | None:
    current, state = generation(files), found.state
    differing = _differing(files, found)
    if state.trying:
        why = "an earlier run ended too early"
    elif differing:
        why = "changed" if state.deployed else "new"
    elif state.deployed != current:
        why = "not on record"
    elif not found.ready:
        why = "not running"
    elif not found.enabled:
        why = "not enabled at boot"
    else:
        return None
    unit = found.files.get(celery_unit.unit_path(name))
    keep = None
    somebody_elses = unit is not None and not is_ours(unit)
    nothing_known = unit is None and (found.original is None or found.elsewhere)
    # What an unfinished run left half changed was kept by that run.
    if not state.trying and (somebody_elses or (nothing_known and not state.deployed)):
        keep = Original(file=unit, elsewhere=found.elsewhere, active=found.active, enabled=found.enabled)
    return Change(name, why, files=differing, deployed=current, keep=keep, stay_up=stay_up)


def plan_absent(found: Mapping[str, Found], restore_original: bool = False) -> list[Change]:
    """Changes after which none of our workers is left; where that is asked for, the units of before run again."""
    changes = []
    for name, traces in sorted(found.items()):
        if not traces.state.ours:
            continue
        if restore_original and traces.original and traces.original.exists:
            changes.append(_restore(name, traces.files, traces.original))
        else:
            changes.append(Change(name, "not wanted", files=dict.fromkeys(traces.files), run=False, enabled=False))
    return changes


def plan_original(names: list[str], found: Mapping[str, Found]) -> list[Change]:
    """Changes after which the units of before us run again."""
    return [_to_original(name, found[name]) for name in names if name in found and found[name].state.ours]


def plan_previous(names: list[str], found: Mapping[str, Found], stay_up: Mapping[str, float]) -> list[Change]:
    """Changes after which each worker runs its previous generation; where there was none, the unit of before us."""
    changes = []
    for name in names:
        traces = found.get(name, Found())
        state = traces.state
        if not state.ours or (state.went_back and not state.trying):
            continue
        # From a run that ended too early on its way to something new, back means to what ran before it.
        target = state.deployed if state.trying and not state.went_back else state.previous
        files = traces.generations.get(target or "")
        if files:
            why = "back to the previous generation"
            differing = _differing({**dict.fromkeys(traces.files), **files}, traces)
            changes.append(Change(name, why, differing, deployed=target, went_back=True, stay_up=stay_up[name]))
        else:
            changes.append(_to_original(name, traces))
    return changes


def _differing(files: Mapping[str, File | None], found: Found) -> dict[str, File | None]:
    return {path: file for path, file in files.items() if found.files.get(path) != file}


def _to_original(name: str, found: Found) -> Change:
    if found.original is None or not found.original.exists:
        raise PlanError(
            f"{name}: nothing to go back to: there was no unit of this name before evenkeel.celery."
            " Take the worker out of celery_worker_instances, or set celery_worker_state to absent, to remove it."
        )
    return _restore(name, found.files, found.original)


def _restore(name: str, ours: Iterable[str], original: Original) -> Change:
    files = {**dict.fromkeys(ours), celery_unit.unit_path(name): original.file}
    why = "back to the original unit"
    return Change(name, why, files, run=original.active, enabled=original.enabled, went_back=True)


def fall_back(change: Change, found: Found) -> Change:
    """The way back from a change: to what was found if that ran, else to what ran last."""
    name, state = change.name, found.state
    paths = {**found.files, **change.files}
    good = found.generations.get(state.deployed or "")
    if good and (state.trying or not found.ready):
        files = {**dict.fromkeys(paths), **good}
        return Change(name, "undone", files, run=bool(state.trying) or found.active, deployed=state.deployed)
    if not state.trying:
        files = {path: found.files.get(path) for path in change.files}
        went_back = state.went_back
        return Change(name, "undone", files, found.active, found.enabled, deployed=state.deployed, went_back=went_back)
    if found.original and found.original.exists:
        return _restore(name, paths, found.original)
    return Change(name, "undone", dict.fromkeys(paths), run=False, enabled=False)


def begun(change: Change, found: Found, trying: str) -> State:
    """What to remember while a change is on its way."""
    return replace(found.state, deployed=last_good(found), trying=trying, went_back=change.went_back)


def settled(change: Change, found: Found) -> State:
    """What to remember when a change has come up and stayed up."""
    before = last_good(found)
    if change.deployed is None:
        return State()
    if change.went_back:
        return State(change.deployed, went_back=True)
    return State(change.deployed, previous=found.state.previous if before == change.deployed else before)


def last_good(found: Found) -> str | None:
    """The generation to come back to: what runs, even if it was changed by hand, else what ran last."""
    runs = found.ready and not found.state.trying and is_ours(_unit_of(found))
    return generation(found.files) if runs else found.state.deployed


def _unit_of(found: Found) -> File | None:
    return next((file for path, file in found.files.items() if path.endswith(".service")), None)


def describe(changes: list[Change], found: Mapping[str, Found]) -> dict[str, str]:
    """Ansible's diff: each file before and after, without the environment's values."""
    sides: dict[str, list[str]] = {"before": [], "after": []}
    for change in changes:
        traces = found.get(change.name, Found())
        sides["before"].append(f"# {change.name}: {'running' if traces.active else 'not running'}\n")
        sides["after"].append(f"# {change.name}: {'running' if change.run else 'not running'} ({change.why})\n")
        for path, after in change.files.items():
            sides["before"].append(show_file(path, traces.files.get(path)))
            sides["after"].append(show_file(path, after))
    return {side: "\n".join(texts) for side, texts in sides.items()}


def show_file(path: str, file: File | None) -> str:
    """A file as the diff shows it: no secrets, and programs by their checksum."""
    if file is None:
        return f"--- {path}: absent\n"
    digest = hashlib.sha256(file.content).hexdigest()[:12]
    if path.endswith(".env"):
        names = [line.split("=", 1)[0] for line in file.content.decode(errors="replace").splitlines() if "=" in line]
        return f"--- {path} (mode {file.mode:04o}, values not shown): {', '.join(names) or 'no variables'}\n"
    if path.endswith(".py"):
        return f"--- {path} (mode {file.mode:04o}, sha256 {digest})\n"
    return f"--- {path} (mode {file.mode:04o})\n{file.content.decode(errors='replace')}"


def summary(changes: list[Change]) -> list[dict[str, Any]]:
    return [
        {"name": c.name, "why": c.why, "files": sorted(c.files), "runs": c.run, "generation": c.deployed}
        for c in changes
    ]
