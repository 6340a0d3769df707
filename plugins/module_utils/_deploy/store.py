# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is stored about a service on its host.

/var/lib/evenkeel/services/NAME/
    state.json              whose it is, and which generations are current, previous and pending
    generations/ID/         the files of each of these
    original.json           the original unit and its state
    NAME.service.original   a readable copy of the original unit
"""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._common import files, paths
from .._common.files import File
from .._common.paths import unit_path
from . import stored_json
from .plan import Original, State, generation, is_ours

STORE = Path(paths.STATE, "services")
FORMER_STORE = Path(paths.STATE, "workers")  # its name until version 0.2

# What the files contain.
STATE = {
    "kind": stored_json.is_text,
    "project": stored_json.is_project,
    **dict.fromkeys(("current", "previous", "pending"), stored_json.is_generation),
    "rolled_back": stored_json.is_flag,
}
ORIGINAL = {
    "content": stored_json.is_content,
    "mode": stored_json.is_mode,
    "link": stored_json.is_link,
    **dict.fromkeys(("elsewhere", "active", "enabled"), stored_json.is_flag),
}


@dataclass(frozen=True)
class Owner:
    """Whose a service is: what deploys services of this kind, for this project (projects.py)."""

    kind: str = "worker"
    project: str = ""


def directory(name: str = "") -> Path:
    """Where a service's state, or that of all services, is stored."""
    return (FORMER_STORE if FORMER_STORE.is_dir() and not STORE.is_dir() else STORE) / name


def locks() -> list[Path]:
    """What a run holds while it changes services: also the lock of the version that it may be the first to replace."""
    return [store.with_suffix(".lock") for store in (FORMER_STORE, STORE) if store == STORE or store.is_dir()]


def prepare() -> None:
    """Makes the store, or takes over the one of an earlier version of this collection."""
    if directory() == FORMER_STORE:
        FORMER_STORE.rename(STORE)
    files.make_directory(STORE, 0o700)


def known() -> dict[str, Owner]:
    """Whose each service is that we manage or once managed, by its name."""
    names = sorted(path.parent.name for path in directory().glob("*/state.json"))
    return {name: owner(name) for name in names}


def is_there(name: str) -> bool:
    """Whether a service that is known runs, or would run, by a unit of ours or by its original one."""
    return recall(name).ours or Path(unit_path(name)).exists()


def owner(name: str) -> Owner:
    stored = _read_state(name)
    return Owner(**{field.name: stored[field.name] for field in dataclasses.fields(Owner) if field.name in stored})


def recall(name: str) -> State:
    stored = _read_state(name)
    return State(**{field.name: stored[field.name] for field in dataclasses.fields(State) if field.name in stored})


def remember(name: str, whose: Owner, state: State) -> None:
    """Also removes the generations that are neither current, previous nor pending."""
    _write_json(directory(name) / "state.json", {**dataclasses.asdict(whose), **dataclasses.asdict(state)})
    kept = {state.current, state.previous, state.pending}
    for generation_directory in (directory(name) / "generations").glob("*"):
        if generation_directory.name not in kept:
            shutil.rmtree(generation_directory)


def read_generations(name: str, service_paths: Iterable[str]) -> dict[str, dict[str, File]]:
    """The stored generations that are complete: one whose content does not match its name was interrupted or edited."""
    generations = {}
    for kept in (directory(name) / "generations").glob("*"):
        read_back = {path: files.read(kept / Path(path).name) for path in service_paths}
        whole = {path: file for path, file in read_back.items() if file}
        if generation(whole) == kept.name:
            generations[kept.name] = whole
    return generations


def keep_generation(name: str, service_files: Mapping[str, File]) -> None:
    kept = directory(name) / "generations" / generation(service_files)
    for path, file in service_files.items():
        files.write(kept / Path(path).name, file)


def calls(path: str) -> bool:
    """Whether a unit of a stored generation has this path."""
    return any(path.encode() in unit.read_bytes() for unit in directory().glob("*/generations/*/*.service"))


def read_original(name: str) -> Original | None:
    path = directory(name) / "original.json"
    without = f"then there is no original unit to roll back to. {name}.service.original beside it is a copy."
    kept = stored_json.read(path, ORIGINAL, without=without, required=True)
    if not kept:
        return None
    file = None
    if kept["content"] is not None:
        file = File(base64.b64decode(kept["content"]), kept["mode"] or 0o644, kept["link"])
    return Original(file, kept["elsewhere"], kept["active"], kept["enabled"])


def keep_original(name: str, original: Original) -> None:
    """Stores it; a different one that was stored earlier is kept too, under a number."""
    path = directory(name) / "original.json"
    if is_ours(original.file) or read_original(name) == original:
        return
    if path.exists():
        number = 1
        while (earlier := path.with_name(f"original.{number}.json")).exists():
            number += 1
        path.rename(earlier)
    kept = {
        "content": base64.b64encode(original.file.content).decode() if original.file else None,
        "mode": original.file.mode if original.file else None,
        "link": original.file.link if original.file else None,
        "elsewhere": original.elsewhere,
        "active": original.active,
        "enabled": original.enabled,
    }
    _write_json(path, kept)
    if original.file:  # a copy that can be read without this program
        files.write(path.with_name(f"{name}.service.original"), File(original.file.content, 0o600))


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    files.make_directory(path.parent, 0o700)
    files.write(path, File(json.dumps(content).encode(), 0o600))


def _read_state(name: str) -> dict[str, Any]:
    former = {"deployed": "current", "trying": "pending", "went_back": "rolled_back"}  # the names until version 0.2
    without = "then the service is deployed anew, and can't be rolled back to its earlier generations."
    return stored_json.read(directory(name) / "state.json", STATE, without=without, former=former)
