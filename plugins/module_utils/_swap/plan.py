# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A swap file: what is there, what is wanted, and the steps from the one to the other.

The kernel renames and removes no file that it swaps to, and /proc/swaps keeps the name under which swapon got it. So
a new file is made beside the old one and proven by swapon; it serves while the old one is emptied; then it takes the
old one's name in one rename and is switched on under it. At each moment, a reboot finds a whole swap file at the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import format_size

MIB = 1 << 20

# swapon(8): what fallocate gives is no hole for the kernel's swap on these; on the others, zeros are really written.
PREALLOCATED = ("ext4", "xfs", "btrfs")
FILESYSTEMS = (*PREALLOCATED, "ext3", "ext2")

# Of MemAvailable, the part that swapoff may fill: the machine has to go on working meanwhile.
USABLE_MEMORY = 0.9


class SwapError(Exception):
    """What is wrong and what to do next, in words for the operator."""


class UnsupportedError(SwapError):
    """The file system carries no swap files."""


@dataclass(frozen=True)
class File:
    """A file that is, or may become, swap."""

    path: str
    kind: str = "nothing"  # or "swap file", or what else lies there, in words
    size: int = 0  # of a swap area that is whole; 0 if the file is too short for it or has holes
    disk: int = 0  # what the file takes
    mode: int = 0o600
    owner: tuple[int, int] = (0, 0)
    active: bool = False
    used: int = 0  # memory that is swapped out to it

    @property
    def private(self) -> bool:
        return (self.mode, self.owner) == (0o600, (0, 0))

    @property
    def room(self) -> int:
        return self.size - self.used if self.active else 0

    def as_data(self) -> dict[str, Any]:
        """The file in the words of the module's options."""
        if self.kind == "nothing":
            return {"path": self.path, "state": "absent"}
        data = {"path": self.path, "state": "present", "size": format_size(self.size), "active": self.active}
        return {**data, "mode": f"{self.mode:04o}", "owner": "{}:{}".format(*self.owner)}


@dataclass(frozen=True)
class Host:
    """The file, the new one that may lie beside it, and the room for them."""

    file: File
    new: File
    filesystem: str = ""  # empty where the directory is missing
    free: int = 0  # on the disk
    memory: int = 0  # that can be taken without swapping
    elsewhere: int = 0  # room in other swap areas

    def as_data(self) -> dict[str, Any]:
        leftover = {} if self.new.kind == "nothing" else {"leftover": self.new.path}
        return {**self.file.as_data(), **leftover}


_WORDS = {
    "make": "make {}",
    "protect": "give {} to root, mode 0600",
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
        raise SwapError(f"path {file.path} is a {file.kind} and is left as it is. Move it away, or give another path.")
    if size is None:
        return _gone(file) + _gone(new)
    if file.size == size:
        steps = [] if file.private else [Step("protect", file.path)]
        return steps + _served(file) + _gone(new)
    steps = []
    # What an interrupted run left is as good as new, if it is what is wanted now.
    if new.size != size or not new.private:
        if new.active and file.size:
            steps += _served(file)
            file = replace(file, active=True)
        steps += [*_gone(new), Step("make", new.path)]
        new = File(new.path)
    steps += _served(new)
    if file.active:
        steps.append(Step("off", file.path))
    return [*steps, Step("off", new.path), Step("rename", new.path), Step("on", file.path)]


def roll_back(before: Host, now: Host) -> list[Step]:
    """The steps that follow a failure: back to the swap that the host had before."""
    served = before.file.active or before.new.active
    return (_served(now.file) if served and now.file.size else []) + _gone(now.new)


def _served(file: File) -> list[Step]:
    return [] if file.active else [Step("on", file.path)]


def _gone(file: File) -> list[Step]:
    off = [Step("off", file.path)] if file.active else []
    return off if file.kind == "nothing" else [*off, Step("remove", file.path)]


def check(now: Host, steps: Sequence[Step], size: int | None, reserve: int) -> None:
    """Says what would keep the plan from succeeding, before it is begun."""
    verbs = [step.verb for step in steps]
    if size is not None and steps:
        _check_place(now)
    if "make" in verbs:
        _check_disk(now, size, reserve)
    if "off" in verbs:
        # Both go off, one after the other, and nothing else of ours is there to take it.
        check_memory(now, now.file.used + now.new.used, now.memory * USABLE_MEMORY + now.elsewhere)


def _check_place(now: Host) -> None:
    path = now.file.path
    if not now.filesystem:
        raise SwapError(f"path {path}: there is no directory {Path(path).parent}. Make it, or give another path.")
    if now.filesystem not in FILESYSTEMS:
        raise UnsupportedError(
            f"path {path} lies on {now.filesystem}, which carries no swap files."
            f" Give a path on {', '.join(FILESYSTEMS)}, or set unsupported to skip."
        )


def _check_disk(now: Host, size: int, reserve: int) -> None:
    free = now.free + now.new.disk
    if size + reserve <= free:
        return
    hint = "Ask for less, or make room."
    if size + reserve <= free + now.file.disk:
        hint += " The old file stays until the new one is proven: to do without it, remove it first (state absent)."
    raise SwapError(
        f"size {format_size(size)} and reserve {format_size(reserve)} do not fit in the {_about(free)} that"
        f" {Path(now.file.path).parent} has free. {hint}"
    )


def check_memory(now: Host, used: int, room: float) -> None:
    if used > room:
        raise SwapError(
            f"{now.file.path} can't be switched off: {_about(used)} of memory is swapped out to it, and there is room"
            f" for {_about(room)} elsewhere. Stop something that takes memory, then try again."
        )


def _about(size: float) -> str:
    return f"{size / MIB:.0f}M"
