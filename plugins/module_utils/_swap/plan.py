# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A swap file: what exists, what is wanted, and the steps from the one to the other.

An active swap file can be neither renamed nor removed, and /proc/swaps keeps the name that swapon was given. So a new
file is made beside the old one and proven by swapon. It is in use while the old one is emptied, then takes the old
one's name in one rename and is switched on again. At any time, a reboot finds a complete swap file at the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import format_size

MIB = 1 << 20

# swapon(8): on these, swap files may be made by fallocate; on the others, that would leave holes, so zeros are written.
PREALLOCATED = ("ext4", "xfs", "btrfs")
FILESYSTEMS = (*PREALLOCATED, "ext3", "ext2")

# The part of MemAvailable that swapoff may fill, as the machine has to keep working meanwhile.
USABLE_MEMORY = 0.9


class SwapError(Exception):
    """What is wrong and what to do next, as sentences for the operator."""


class UnsupportedError(SwapError):
    """The file system or the kernel does not support swap files."""


@dataclass(frozen=True)
class File:
    """A file that is, or may become, swap."""

    path: str
    kind: str = "nothing"  # or "swap file", or a description of what else is at the path
    size: int = 0  # bytes of the swap area; 0 if the file is too short for it or has holes
    disk: int = 0  # bytes that the file takes on the disk
    mode: int = 0o600
    owner: tuple[int, int] = (0, 0)
    active: bool = False
    used: int = 0  # bytes that are swapped out to it

    @property
    def private(self) -> bool:
        """Whether it is root's alone. Another user may still hold any other file open, and read what is in it."""
        return (self.mode, self.owner) == (0o600, (0, 0))

    @property
    def room(self) -> int:
        return self.size - self.used if self.active else 0

    def as_data(self) -> dict[str, Any]:
        """The file for the module's diff."""
        if self.kind == "nothing":
            return {"path": self.path, "state": "absent"}
        data = {"path": self.path, "state": "present", "size": format_size(self.size), "active": self.active}
        return {**data, "mode": f"{self.mode:04o}", "owner": "{}:{}".format(*self.owner)}


@dataclass(frozen=True)
class Host:
    """The file, the new one that may be beside it, and the space for them, in bytes."""

    file: File
    new: File
    filesystem: str = ""  # empty if the directory is missing
    free: int = 0  # on the disk
    memory: int = 0  # available without swapping
    elsewhere: int = 0  # free in other swap areas
    shared: str = ""  # a directory, on the way to the file, in which others than root could exchange names
    refusal: str = ""  # why the kernel will refuse any swap file; empty if that is not expected

    def as_data(self) -> dict[str, Any]:
        leftover = {} if self.new.kind == "nothing" else {"leftover": self.new.path}
        return {**self.file.as_data(), **leftover}


_WORDS = {
    "make": "make {}",
    "on": "swapon {}",
    "off": "swapoff {}",
    "rename": "give {} its final name",
    "remove": "remove {}",
}


@dataclass(frozen=True)
class Step:
    verb: str
    path: str

    def __str__(self) -> str:
        return _WORDS[self.verb].format(self.path)


def plan(now: Host, size: int | None) -> list[Step]:
    """The steps to an active swap file of that size, or to none."""
    file, new = now.file, now.new
    if file.kind not in ("nothing", "swap file"):
        raise SwapError(f"path {file.path} is a {file.kind} and is left as it is. Move it away, or set another path.")
    if size is None:
        return _gone(file) + _gone(new)
    if file.size == size and file.private:
        return _served(file) + _gone(new)
    steps = []
    # The new file of an interrupted run is used if it has the wanted size.
    if new.size != size or not new.private:
        if new.active and file.size and file.private:
            steps += _served(file)
            file = replace(file, active=True)
        steps += [*_gone(new), Step("make", new.path)]
        new = File(new.path)
    steps += _served(new)
    if file.active:
        steps.append(Step("off", file.path))
    return [*steps, Step("off", new.path), Step("rename", new.path), Step("on", file.path)]


def roll_back(before: Host, now: Host) -> list[Step]:
    """The steps after a failure: back to the swap that the host had before."""
    served = before.file.active or (before.new.active and now.file.private)
    return (_served(now.file) if served and now.file.size else []) + _gone(now.new)


def _served(file: File) -> list[Step]:
    return [] if file.active else [Step("on", file.path)]


def _gone(file: File) -> list[Step]:
    off = [Step("off", file.path)] if file.active else []
    return off if file.kind == "nothing" else [*off, Step("remove", file.path)]


def check(now: Host, steps: Sequence[Step], size: int | None, reserve: int) -> None:
    """Raises SwapError if anything would keep the plan from succeeding, before it is begun."""
    verbs = [step.verb for step in steps]
    if size is not None and steps:
        _check_kernel(now)
        _check_place(now)
    if now.shared and (size is not None or steps):
        raise SwapError(
            f"path {now.file.path}: others than root can write to {now.shared}, and could exchange the file. Set a path"
            f" whose directories only root can write to, or correct that one (chown root:root, chmod go-w)."
        )
    if "make" in verbs:
        _check_disk(now, size, reserve)
    if "off" in verbs:
        # Both are switched off in the end, so that memory and other swap areas have to take what is in them.
        check_memory(now, now.file.used + now.new.used, now.memory * USABLE_MEMORY + now.elsewhere)


def _check_kernel(now: Host) -> None:
    if now.refusal:
        raise UnsupportedError(
            f"the kernel will refuse swap file {now.file.path}: {now.refusal}. Set up swap on the machine that runs it,"
            " or set unsupported to skip."
        )


def _check_place(now: Host) -> None:
    path = now.file.path
    if not now.filesystem:
        raise SwapError(f"path {path}: directory {Path(path).parent} does not exist. Create it, or set another path.")
    if now.filesystem not in FILESYSTEMS:
        raise UnsupportedError(
            f"path {path} is on {now.filesystem}, which does not support swap files."
            f" Set a path on {', '.join(FILESYSTEMS)}, or set unsupported to skip."
        )


def _check_disk(now: Host, size: int, reserve: int) -> None:
    free = now.free + now.new.disk
    if size + reserve <= free:
        return
    hint = "Lower one of them, or free disk space."
    if size + reserve <= free + now.file.disk:
        hint += " The old file is kept until the new one is proven. To make room, remove it first (state: absent)."
    raise SwapError(
        f"size {format_size(size)} and reserve {format_size(reserve)} do not fit into the {_about(free)} that are free"
        f" in {Path(now.file.path).parent}. {hint}"
    )


def check_memory(now: Host, used: int, room: float) -> None:
    if used > room:
        raise SwapError(
            f"{now.file.path} can't be switched off: {_about(used)} of memory is swapped out to it, but only"
            f" {_about(room)} are free elsewhere. Stop something that uses memory, then try again."
        )


def _about(size: float) -> str:
    return f"{size / MIB:.0f}M"
