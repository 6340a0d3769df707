# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and replaces files as a whole: other processes see the old content or the new one, never a part.

Root may do this in directories of other users: it holds descriptors of the directories, and follows links only where
nobody else can place them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Callable

from .paths import is_public

MOST_LINKS = 40  # as the kernel has it, path_resolution(7)


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


def read_start(path: str | Path, most: int) -> bytes:
    """The first `most` bytes of a regular file. Raises OSError for anything else."""
    with open_regular(path) as file:
        return file.read(most)


def open_regular(path: str | Path) -> IO[bytes]:
    """Opens a regular file for reading. Raises OSError for anything else, such as a FIFO, without waiting."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return file


def write(path: str | Path, file: File | None) -> None:
    """Puts the file in place, synced to the disk; None removes it. Makes missing directories with mode 0755."""
    with staged({path: file}) as put:
        put()


@contextlib.contextmanager
def staged(wanted: Mapping[str | Path, File | None]) -> Iterator[Callable[[], None]]:
    """Writes each file beside its place, and yields what puts all of them in place; None removes a file.

    That only renames and removes files, so a full disk can't stop it halfway. What is not put in place is removed.
    """
    with contextlib.ExitStack() as stack:
        puts = []
        for path, file in wanted.items():
            try:
                puts.append(stack.enter_context(_staged(Path(path), file)))
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from error

        def put() -> None:
            for each in puts:
                each()

        yield put


@contextlib.contextmanager
def _staged(target: Path, file: File | None) -> Iterator[Callable[[], None]]:
    if file is None:
        yield lambda: _remove(target)
        return
    make_directory(target.parent)
    with open_directory(target.parent) as directory:
        new = f".{target.name}.{os.urandom(6).hex()}"

        def put() -> None:
            os.rename(new, target.name, src_dir_fd=directory, dst_dir_fd=directory)
            os.fsync(directory)

        try:
            _write_new(new, directory, file)
            if file.link and Path(target.parent, file.link).is_file():
                os.unlink(new, dir_fd=directory)
                os.symlink(file.link, new, dir_fd=directory)
            yield put
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new, dir_fd=directory)


def _remove(target: Path) -> None:
    with contextlib.suppress(FileNotFoundError), open_directory(target.parent) as directory:
        os.unlink(target.name, dir_fd=directory)


def remove_staged(path: str | Path) -> None:
    """Removes what a process that was killed left beside this file."""
    left = re.compile(rf"\.{re.escape(Path(path).name)}\.[0-9a-f]{{12}}")
    with contextlib.suppress(FileNotFoundError), open_directory(Path(path).parent) as directory:
        for name in filter(left.fullmatch, os.listdir(directory)):  # noqa: PTH208 -- a descriptor, no path
            os.unlink(name, dir_fd=directory)


def _write_new(name: str, directory: int, file: File) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o600, dir_fd=directory), "wb") as stream:
        os.fchmod(stream.fileno(), file.mode)
        stream.write(file.content)
        stream.flush()
        os.fsync(stream.fileno())


def make_directory(path: str | Path, mode: int = 0o755) -> None:
    """Makes the directory with this mode, whatever the umask, and missing parents with mode 0755.

    Root gives those of ours that all may enter mode 0755 again: an older version, or somebody's umask, may have closed
    them.
    """
    path = Path(path)
    if path.is_dir():
        if os.geteuid() == 0:
            for each in filter(lambda each: is_public(str(each)), (path, *path.parents)):
                _make_public(each)
        return
    make_directory(path.parent)
    with open_directory(path.parent) as parent:
        try:
            os.mkdir(path.name, mode, dir_fd=parent)
        except FileExistsError:  # another run may have made it by now
            return
        directory = os.open(path.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            os.fchmod(directory, mode)
        finally:
            os.close(directory)


def _make_public(path: Path) -> None:
    with open_directory(path) as directory:
        now = os.fstat(directory)
        if stat.S_IMODE(now.st_mode) != 0o755:
            os.fchmod(directory, 0o755)
        if now.st_uid != os.geteuid():
            os.fchown(directory, os.geteuid(), os.getegid())


@contextlib.contextmanager
def open_directory(path: str | Path) -> Iterator[int]:
    """A descriptor of the directory, for the functions of `os` that take a dir_fd.

    Follows a link only where nobody but root and ourselves can have placed it. Raises OSError for others.
    """
    directory = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        left, links = list(reversed(Path(path).absolute().parts[1:])), 0
        while left:
            name = left.pop()
            target = _link_at(directory, name, path) if name != ".." else None
            if target is None:
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            else:
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                left += reversed([part for part in target.split("/") if part not in ("", ".")])
                inner = os.open("/", os.O_RDONLY | os.O_DIRECTORY) if target.startswith("/") else os.dup(directory)
            os.close(directory)
            directory = inner
        yield directory
    finally:
        os.close(directory)


def _link_at(directory: int, name: str, path: str | Path) -> str | None:
    """The target of the link of this name; None if it is no link."""
    if not stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        return None
    if not only_we_write(os.fstat(directory)):
        raise OSError(
            errno.ELOOP, f"it leads through the link {name!r} in a directory that others can write to", str(path)
        )
    return os.readlink(name, dir_fd=directory)


def only_we_write(directory: os.stat_result) -> bool:
    """Whether only root and our own user can write to a directory."""
    return directory.st_uid in (0, os.geteuid()) and not directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
