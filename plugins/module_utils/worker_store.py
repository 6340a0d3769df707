# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we remember of a worker on its host, and how its files are read and written.

/var/lib/evenkeel/workers/NAME/
    state.json           which generation runs, which one ran before, which one is on its way
    generations/ID/      the files of each of these
    original.json        the unit that was there before us; NAME.service.original is the same for people
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Mapping

from ansible_collections.evenkeel.celery.plugins.module_utils import celery_unit
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_workers import (
    File,
    Original,
    State,
    generation,
    is_ours,
)

STORE = Path("/var/lib/evenkeel/workers")


def known() -> list[str]:
    """Names of the workers that we own or once owned."""
    return sorted(path.name for path in STORE.iterdir()) if STORE.is_dir() else []


def paths(name: str) -> tuple[str, ...]:
    """The files of a generation, where they do their work."""
    return celery_unit.unit_path(name), celery_unit.environment_path(name), celery_unit.watchdog_path(name)


def read(path: str | Path) -> File | None:
    path = Path(path)
    link = os.readlink(path) if path.is_symlink() else None
    try:
        return File(path.read_bytes(), path.stat().st_mode & 0o7777, link)
    except FileNotFoundError:
        return None


def write(path: str | Path, file: File | None) -> None:
    """Atomically; None removes."""
    target = Path(path)
    if file is None:
        target.unlink(missing_ok=True)
        if target.parent.parent == Path(celery_unit.PROGRAM_DIRECTORY):
            shutil.rmtree(target.parent, ignore_errors=True)  # Python's cache
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as directory:
        new = Path(directory, target.name)
        if file.link and Path(target.parent, file.link).is_file():
            new.symlink_to(file.link)
        else:
            with new.open("wb") as stream:
                os.fchmod(stream.fileno(), file.mode)
                stream.write(file.content)
                stream.flush()
                os.fsync(stream.fileno())
        new.replace(target)


def recall(name: str) -> State:
    path = STORE / name / "state.json"
    return State(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else State()


def remember(name: str, state: State) -> None:
    """Also forgets the generations that are neither the one that runs nor the one before."""
    _write_json(STORE / name / "state.json", dataclasses.asdict(state))
    kept = {state.deployed, state.previous, state.trying}
    for directory in (STORE / name / "generations").glob("*"):
        if directory.name not in kept:
            shutil.rmtree(directory)


def read_generations(name: str) -> dict[str, dict[str, File]]:
    """Those that are whole; a generation that is not as its name says was cut short, or changed by hand."""
    generations = {}
    for directory in (STORE / name / "generations").glob("*"):
        read_back = {path: read(directory / Path(path).name) for path in paths(name)}
        files = {path: file for path, file in read_back.items() if file}
        if generation(files) == directory.name:
            generations[directory.name] = files
    return generations


def keep_generation(name: str, files: Mapping[str, File]) -> None:
    directory = STORE / name / "generations" / generation(files)
    for path, file in files.items():
        write(directory / Path(path).name, file)


def read_original(name: str) -> Original | None:
    path = STORE / name / "original.json"
    if not path.exists():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    file = File(base64.b64decode(kept["content"]), kept["mode"], kept["link"]) if kept["content"] is not None else None
    return Original(file, kept["elsewhere"], kept["active"], kept["enabled"])


def keep_original(name: str, original: Original) -> None:
    """Keep it; one that was kept before, and is another, stays too, under a number."""
    path = STORE / name / "original.json"
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
    if original.file:  # for people
        write(path.with_name(f"{name}.service.original"), File(original.file.content, 0o600))


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(path, File(json.dumps(content).encode(), 0o600))
