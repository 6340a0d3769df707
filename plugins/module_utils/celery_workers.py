# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change on a host so that it runs the workers that are asked for.

Pure: what was found and what is wanted go in, changes come out. worker_host.py finds and carries out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.evenkeel.celery.plugins.module_utils import celery_unit

# In place of a generation, while one is on its way: no generation is called so, and the next run starts it anew.
UNFINISHED = "unfinished"


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
class Found:
    """A worker's traces on the host."""

    files: Mapping[str, File] = field(default_factory=dict)
    active: bool = False  # it runs, or systemd tries to
    ready: bool = False  # it runs: one that crashes again and again is active most of the time, but does no work
    enabled: bool = False
    elsewhere: bool = False
    deployed: str | None = None  # the generation that last came up; None: none of ours is in place
    original: Original | None = None


@dataclass(frozen=True)
class Change:
    """What to do with one worker, in one go that is undone as a whole when the worker doesn't come up."""

    name: str
    why: str
    files: Mapping[str, File | None] = field(default_factory=dict)  # None: remove
    run: bool = True  # afterwards it runs, anew
    enabled: bool = True
    deployed: str | None = None
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
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_ours(file: File | None) -> bool:
    return file is not None and celery_unit.MARKER.encode() in file.content


def plan_present(wanted: Mapping[str, Mapping[str, File]], found: Mapping[str, Found]) -> list[Change]:
    """Changes after which each wanted worker runs as wanted, and no other worker of ours is left."""
    changes = [_deploy(name, files, found.get(name, Found())) for name, files in wanted.items()]
    dropped = [name for name in sorted(found) if name not in wanted]
    return [change for change in changes if change] + plan_absent({name: found[name] for name in dropped})


def _deploy(name: str, files: Mapping[str, File], found: Found) -> Change | None:
    current = generation(files)
    differing = {path: file for path, file in files.items() if found.files.get(path) != file}
    if differing:
        why = "changed" if found.deployed else "new"
    elif found.deployed != current:
        why = "written by a run that ended before it was started"
    elif not found.ready:
        why = "not running"
    elif not found.enabled:
        why = "not enabled at boot"
    else:
        return None
    unit = found.files.get(celery_unit.unit_path(name))
    keep = None
    # What an unfinished run left half changed was kept by that run.
    if found.deployed != UNFINISHED and not is_ours(unit) and (unit is not None or not found.deployed):
        keep = Original(file=unit, elsewhere=found.elsewhere, active=found.active, enabled=found.enabled)
    return Change(name, why, files=differing, deployed=current, keep=keep)


def plan_absent(found: Mapping[str, Found]) -> list[Change]:
    """Changes after which none of our workers is left."""
    return [
        Change(name, "not wanted", files=dict.fromkeys(traces.files), run=False, enabled=False)
        for name, traces in sorted(found.items())
        if traces.deployed
    ]


def plan_original(names: list[str], found: Mapping[str, Found]) -> list[Change]:
    """Changes after which the units of before us run again."""
    changes = []
    for name in names:
        traces = found.get(name, Found())
        if not traces.deployed:
            continue
        original = traces.original
        if original is None or not original.exists:
            raise PlanError(
                f"{name}: there was no unit of this name before evenkeel.celery, so there is none to go back to."
                " Take the worker out of celery_worker_instances, or set celery_worker_state to absent, to remove it."
            )
        files: dict[str, File | None] = dict.fromkeys(traces.files)
        files[celery_unit.unit_path(name)] = original.file
        changes.append(Change(name, "back to the original unit", files, run=original.active, enabled=original.enabled))
    return changes


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
    return [{"name": c.name, "why": c.why, "files": sorted(c.files), "runs": c.run} for c in changes]
