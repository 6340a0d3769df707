# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of an export: which there should be, which are there, and what has to be written and removed.

Each file begins with a line that tells its name and which export it is from, so that the next one replaces it, or
removes it if it is not needed any more. Files without that line are never touched, and neither are copies under other
names, such as the .env that somebody has made of .env.example.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .._common import files
from .._common.paths import MARKER
from .._targets import compose, helm, kubernetes, render
from .._targets.container import FOLDER, Service
from .._targets.yaml_text import text

MAKE = {"compose": compose.files, "kubernetes": kubernetes.files, "render": render.files}
_LONGEST_MARK = 300  # bytes, more than a first line of ours


class ForeignFileError(Exception):
    """A file that is not ours is where one of ours should be."""


def mark(name: str, options: Mapping[str, Any]) -> str:
    """The first line of the file with this name."""
    return f"{MARKER}: {name} of {options['project']} for {options['target']}. The next export overwrites changes.\n"


def wanted(services: list[Service], options: Mapping[str, Any], programs: Mapping[str, str]) -> dict[str, str]:
    """The texts of the files, by their paths below the directory.

    programs: the texts of our programs by their names.
    """
    texts = {
        name: made if isinstance(made, str) else text(made)
        for name, made in MAKE[options["target"]](services, options).items()
    }
    if options["target"] == "kubernetes" and options["chart"]:
        texts = helm.chart(texts, options)
    for name in sorted({program for service in services for program in service.programs}):
        texts[f"{FOLDER}/{name}"] = programs[name]
    return {name: mark(name, options) + made for name, made in texts.items()}


def changes(directory: Path, texts: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, tuple[str, str | None]]:
    """The text before and after, None for a file that is removed, of each file that changes.

    Raises ForeignFileError, and OSError if a file can't be read.
    """
    found = {name: _read(directory / name) for name in texts}
    foreign = [name for name, before in found.items() if before and not _is_ours(name, before, options)]
    foreign += [name for name in texts if (directory / name).is_symlink()]
    if foreign:
        raise ForeignFileError(
            f"directory {directory}: {', '.join(dict.fromkeys(foreign))} is not from an export of"
            f" {options['project']} to {options['target']}. Move it away, or set another directory."
        )
    stale = {name: before for name, before in _ours(directory, options) if name not in texts}
    return {
        **{name: (found[name] or "", after) for name, after in texts.items() if found[name] != after},
        **{name: (before, None) for name, before in stale.items()},
    }


def write(directory: Path, changed: Mapping[str, tuple[str, str | None]]) -> None:
    """All of them, or none if one can't be written."""
    put_there = {
        directory / name: None if after is None else files.File(after.encode())
        for name, (_before, after) in changed.items()
    }
    with files.staged(put_there) as put:
        put()


def _ours(directory: Path, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for path in sorted(
        path for pattern in ("*", f"{FOLDER}/*", f"{helm.TEMPLATES}/*") for path in directory.glob(pattern)
    ):
        name = str(path.relative_to(directory))
        if not path.is_symlink() and path.is_file() and _is_ours(name, _start(path), options):
            yield name, _read(path) or ""


def _start(path: Path) -> str:
    try:
        return files.read_start(path, _LONGEST_MARK).decode(errors="replace")
    except OSError:  # a file that we may not read is not ours
        return ""


def _read(path: Path) -> str | None:
    found = files.read(path)
    return found.content.decode(errors="replace") if found else None


def _is_ours(name: str, text: str, options: Mapping[str, Any]) -> bool:
    return text.startswith(mark(name, options))
