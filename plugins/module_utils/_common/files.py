# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and replaces files as a whole: other processes see the old content or the new one, never a part."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """A file's content and mode."""

    content: bytes
    mode: int = 0o644
    link: str | None = None  # its target, if it is a symbolic link, such as `systemctl link` makes


def read(path: str | Path) -> File | None:
    """The file as it is; None if it does not exist. A link has the content of its target."""
    path = Path(path)
    link = os.readlink(path) if path.is_symlink() else None  # noqa: PTH115 -- exactly as it is written
    try:
        return File(path.read_bytes(), path.stat().st_mode & 0o7777, link)
    except FileNotFoundError:
        return None


def write(path: str | Path, file: File | None) -> None:
    """Puts the file in place, synced to the disk; None removes it. Makes missing directories with mode 0755."""
    target = Path(path)
    if file is None:
        target.unlink(missing_ok=True)
        return
    make_directory(target.parent)
    # Through the descriptor: somebody else may own the directory, and exchange what its names lead to.
    descriptor, new = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), file.mode)
            stream.write(file.content)
            stream.flush()
            os.fsync(stream.fileno())
        if file.link and Path(target.parent, file.link).is_file():
            Path(new).unlink()
            Path(new).symlink_to(file.link)
        Path(new).replace(target)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


def make_directory(path: str | Path, mode: int = 0o755) -> None:
    """Makes the directory with this mode, whatever the umask, and missing parents with mode 0755."""
    path = Path(path)
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(mode, exist_ok=True)  # another run may have made it by now
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)  # refuses a link in its place
    try:
        os.fchmod(directory, mode)
    finally:
        os.close(directory)
