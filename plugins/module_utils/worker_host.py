# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the workers' traces on this host, and carries out changes to them, each as a whole or not at all."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Iterable, Mapping

from ansible_collections.evenkeel.celery.plugins.module_utils import celery_unit, systemd
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_workers import (
    UNFINISHED,
    Change,
    File,
    Found,
    Original,
    is_ours,
)

# One directory for each worker: what is deployed, and the unit that was there before us.
STATE = Path("/var/lib/evenkeel/workers")


class NotUp(Exception):
    """A worker did not come up; what was there before runs again."""


def known() -> list[str]:
    """Names of the workers that we own or once owned."""
    return sorted(path.name for path in STATE.iterdir()) if STATE.is_dir() else []


def find(names: Iterable[str]) -> dict[str, Found]:
    names = sorted(set(names))
    units = systemd.look(names)
    return {name: _find(name, units[name]) for name in names}


def _find(name: str, unit: systemd.Unit) -> Found:
    own = celery_unit.unit_path(name)
    paths = (own, celery_unit.environment_path(name), celery_unit.watchdog_path(name))
    return Found(
        files={path: file for path, file in ((path, read(path)) for path in paths) if file},
        active=unit.active,
        ready=unit.ready,
        enabled=unit.enabled,
        elsewhere=unit.load_state == "loaded" and unit.fragment not in ("", own),
        deployed=_state(name).get("deployed"),
        original=_read_original(name),
    )


def read(path: str) -> File | None:
    link = os.readlink(path) if Path(path).is_symlink() else None
    try:
        return File(Path(path).read_bytes(), Path(path).stat().st_mode & 0o7777, link)
    except FileNotFoundError:
        return None


def write(path: str, file: File | None) -> None:
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


def carry_out(change: Change, found: Found) -> None:
    """Make the change; if the worker doesn't come up, put everything back, start that, and raise NotUp."""
    if change.keep:
        _keep_original(change.name, change.keep)
    if change.deployed:
        _remember(change.name, UNFINISHED)  # ours from here on, should this run be killed
    began = time.time()
    try:
        _switch(change.name, change.files, change.run, change.enabled)
    except (systemd.SystemdError, OSError) as error:
        told = systemd.journal(change.name, began)
        outcome = _undo(change, found)
        raise NotUp(f"{change.name} did not come up. {outcome}\n{error}\nIts journal:\n{told}") from None
    _remember(change.name, change.deployed)


def _undo(change: Change, found: Found) -> str:
    """Put back what was there, start it if it ran, and say how that went."""
    if not change.files:
        return "Nothing about it has changed, so there is nothing to go back to."
    before = {path: found.files.get(path) for path in change.files}
    try:
        _switch(change.name, before, found.active, found.enabled)
    except (systemd.SystemdError, OSError) as error:
        return f"Its files of before are back, but that doesn't come up either: {error}"
    finally:
        _remember(change.name, found.deployed)
    return "The worker of before runs again." if found.active else "No worker ran before, and none does now."


def _switch(name: str, files: Mapping[str, File | None], run: bool, enabled: bool) -> None:
    service = f"{name}.service"
    own = celery_unit.unit_path(name)
    # First, while the unit that is there still says which links it has and how it stops.
    if systemd.look([name])[name].exists:
        if own in files and is_ours(files[own]) != is_ours(read(own)):
            systemd.run("systemctl", "disable", "--quiet", service)
        if not run:
            systemd.run("systemctl", "stop", service)
    for path, file in files.items():
        write(path, file)
    systemd.run("systemctl", "daemon-reload")
    if enabled:
        systemd.run("systemctl", "enable", "--quiet", service)
    _forget_failures(service)
    if run:
        systemd.run("systemctl", "restart", service)


def _forget_failures(service: str) -> None:
    """Earlier crashes must not count against this start (StartLimitBurst=); a unit that is gone has none."""
    with contextlib.suppress(systemd.SystemdError):
        systemd.run("systemctl", "reset-failed", service)


# What we remember ------------------------------------------------------------------------------------------------


def _state(name: str) -> dict[str, str | None]:
    path = STATE / name / "state.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _remember(name: str, deployed: str | None) -> None:
    write(str(STATE / name / "state.json"), File(json.dumps({"deployed": deployed}).encode(), 0o600))


def _read_original(name: str) -> Original | None:
    path = STATE / name / "original.json"
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    file = File(base64.b64decode(kept["content"]), kept["mode"], kept["link"]) if kept["content"] is not None else None
    return Original(file, kept["elsewhere"], kept["active"], kept["enabled"])


def _keep_original(name: str, original: Original) -> None:
    """Keep it; one that was kept before, and is another, stays too, under a number."""
    path = STATE / name / "original.json"
    if is_ours(original.file) or _read_original(name) == original:
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
    write(str(path), File(json.dumps(kept).encode(), 0o600))
    if original.file:  # for people
        write(str(path.with_name(f"{name}.service.original")), File(original.file.content, 0o600))
