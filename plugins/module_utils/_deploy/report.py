# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes as Ansible's diff and as the module's result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from .._common import environment_files
from .._common.files import File
from .._common.secrets import unit_without_secrets
from .._common.texts import printable
from .plan import Change, Found, is_ours


def diff(changes: list[Change], found: Mapping[str, Found]) -> dict[str, str]:
    """Ansible's diff: each file before and after, without the values of environment files."""
    sides: dict[str, list[str]] = {"before": [], "after": []}
    for change in changes:
        service = found.get(change.name, Found())
        sides["before"].append(f"# {change.name}: {_state(service)}\n")
        sides["after"].append(f"# {change.name}: {'running' if change.run else 'not running'} ({change.why})\n")
        for path, after in change.files.items():
            sides["before"].append(show_file(path, service.files.get(path)))
            sides["after"].append(show_file(path, after))
    return {side: "\n".join(texts) for side, texts in sides.items()}


def _state(service: Found) -> str:
    if service.ready:
        return "running"
    return "starting" if service.active else "not running"


def show_file(path: str, file: File | None) -> str:
    """A file as the diff shows it: of an environment file only the names, and of a program only the checksum."""
    if file is None:
        return f"--- {path}: absent\n"
    digest = hashlib.sha256(file.content).hexdigest()[:12]
    if path.endswith(".env"):
        names = environment_files.variables(file.content.decode(errors="replace"))
        return f"--- {path} (mode {file.mode:04o}, values not shown): {', '.join(names) or 'no variables'}\n"
    if path.endswith(".py"):
        return f"--- {path} (mode {file.mode:04o}, sha256 {digest})\n"
    text = file.content.decode(errors="replace")
    text = printable(text if is_ours(file) else unit_without_secrets(text), None, keep="\n\t")
    return f"--- {path} (mode {file.mode:04o})\n{text}"


def summary(changes: list[Change]) -> list[dict[str, Any]]:
    return [
        {"name": c.name, "why": c.why, "files": sorted(c.files), "runs": c.run, "generation": c.current}
        for c in changes
    ]
