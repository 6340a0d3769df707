# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who decides what a path leads to. Root asks before it does as a file's owner what the file's path decides.

The owner of a file is not enough: whoever can write to a directory on the way can put another user's file, or a link to
one, in that place. So the path is walked from the root directory on, by descriptors, and all of it has to be of one
user or of root.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from . import users
from .files import MOST_LINKS
from .texts import printable

ACL = "system.posix_acl_access"


class Unsafe(Exception):
    """Others than the file's owner and root can decide what the path leads to. A sentence without its full stop."""


class Step(NamedTuple):
    """A directory or a link on the way, or what the path leads to."""

    path: str  # for messages: links and directories may have any name
    status: os.stat_result
    has_acl: bool  # only looked up where the group may write: then its bits may be those of others, acl(5)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)


def file_of_one_user(path: str | Path) -> os.stat_result:
    """The status of a regular file. Raises Unsafe if others decide what this path leads to, or OSError."""
    *way, last = walk(path)
    if not stat.S_ISREG(last.status.st_mode):
        raise Unsafe(f"{last.path} is not a regular file")
    owner = last.status.st_uid
    for step in way:
        _check(step, owner, last.path)
    # The sticky bit keeps others from replacing the file, but not from placing one beside it, such as its journal.
    beside = next(step for step in reversed(way) if step.is_directory)
    if beside.status.st_mode & stat.S_IWOTH:
        raise Unsafe(f"everybody can put files into {beside.path}. Keep it in a directory of its owner's")
    return last.status


def is_roots(path: str | Path) -> bool:
    """Whether root alone decides what is at this path, or can be put there, and can write to it. Raises OSError."""
    try:
        for step in walk(path):
            _check(step, 0, str(path))
    except Unsafe:
        return False
    except FileNotFoundError:
        pass  # then the last step is the directory in which it would be
    return not step.status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _check(step: Step, owner: int, file: str) -> None:
    mode, name = step.status.st_mode, users.user_name(owner)
    if step.status.st_uid not in (0, owner):
        raise Unsafe(
            f"{file} belongs to {name}, but {step.path} on the way to it belongs to"
            f" {users.user_name(step.status.st_uid)}, who can put any file there. Give both to the same user, or"
            f" {step.path} to root"
        )
    if not step.is_directory or mode & stat.S_ISVTX:
        return
    if mode & stat.S_IWOTH:
        raise Unsafe(f"everybody can write to {step.path}. Take that permission away")
    # In a directory of the owner's, whom the group may write for is the owner's decision, but it is not root's.
    is_anothers = step.status.st_uid != owner or owner == 0
    if mode & stat.S_IWGRP and is_anothers and (step.has_acl or users.members(step.status.st_gid) - {0, owner}):
        raise Unsafe(
            f"others than {name} can write to {step.path}, by its group or its access control list. Give it to {name},"
            " or take that permission away"
        )


def walk(path: str | Path) -> Iterator[Step]:
    """Each directory and link on the way, and in the end what the path leads to. Raises OSError."""
    directory, where = os.open("/", os.O_PATH | os.O_CLOEXEC), Path("/")
    try:
        yield _step(where, directory)
        left, links = list(reversed(Path(path).absolute().parts[1:])), 0
        while left:
            name = left.pop()
            found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            try:
                step = _step(where / name, found)
                yield step
                if not stat.S_ISLNK(step.status.st_mode):
                    directory, found, where = found, directory, where / name
                    continue
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                target = os.readlink("", dir_fd=found)  # of this very link
            finally:
                os.close(found)
            left += [part for part in reversed(target.split("/")) if part not in ("", ".")]
            if target.startswith("/"):
                os.close(directory)
                directory, where = os.open("/", os.O_PATH | os.O_CLOEXEC), Path("/")
    finally:
        os.close(directory)


def _step(path: Path, descriptor: int) -> Step:
    status, has_acl = os.fstat(descriptor), False
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_IWGRP:
        with contextlib.suppress(OSError):  # there is none, or the file system knows none
            has_acl = bool(os.getxattr(f"/proc/self/fd/{descriptor}", ACL))
    return Step(printable(path), status, has_acl)
