# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A swap file: what is there, what is wanted, and the steps from the one to the other.

The kernel renames and removes no file that it swaps to, and /proc/swaps keeps the name under which swapon got it. So
a new file is made beside the old one and proven by swapon; it serves while the old one is emptied; then it takes the
old one's name in one rename and is switched on under it. At each moment, a reboot finds a whole swap file at the path.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Sequence

from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import format_size

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20
LABEL = "evenkeel"

# swapon(8): what fallocate gives is no hole for the kernel's swap on these; on the others, zeros are really written.
PREALLOCATED = ("ext4", "xfs", "btrfs")
FILESYSTEMS = (*PREALLOCATED, "ext3", "ext2")

# Of MemAvailable, the part that swapoff may fill: the machine has to go on working meanwhile.
USABLE_MEMORY = 0.9


class SwapError(Exception):
    """What is wrong and what to do next, in words for the operator."""


class UnsupportedError(SwapError):
    """The file system carries no swap files."""


# What is there --------------------------------------------------------------------------------------------------


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
        left_over = {} if self.new.kind == "nothing" else {"left_over": self.new.path}
        return {**self.file.as_data(), **left_over}


def parse_swaps(text: str) -> dict[str, tuple[int, int]]:
    """Size and use, in bytes, of each active area in the words of /proc/swaps."""
    areas = {}
    for line in text.splitlines()[1:]:
        path, _kind, size, used, _priority = line.split()
        areas[unescape(path)] = (int(size) * 1024, int(used) * 1024)
    return areas


def parse_filesystem(mountinfo: str, directory: str) -> str:
    """The type of the file system that a directory, without links, lies on."""
    best, found = "", ""
    for line in mountinfo.splitlines():
        mount, filesystem = line.split(" - ", 1)
        point = unescape(mount.split()[4])
        # A later mount covers an earlier one at the same place.
        if os.path.commonpath([point, directory]) == point and len(point) >= len(best):
            best, found = point, filesystem.split()[0]
    return found


def parse_available(meminfo: str) -> int:
    """Bytes of MemAvailable in /proc/meminfo."""
    return int(re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)[1]) * 1024


def unescape(text: str) -> str:
    """A path as the kernel prints it, with white space and backslashes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def look(path: str) -> Host:
    """The host as it is; reads only."""
    # As the kernel will name it; a link in the last place is not followed.
    directory = Path(path).parent.resolve()
    real = str(directory / Path(path).name)
    areas = parse_swaps(_read("/proc/swaps"))
    file, new = (_look_at(each, areas) for each in (real, f"{real}.{LABEL}-new"))
    if not directory.is_dir():
        return Host(file, new)
    disk = os.statvfs(directory)
    return Host(
        file,
        new,
        parse_filesystem(_read("/proc/self/mountinfo"), str(directory)),
        disk.f_bavail * disk.f_frsize,
        parse_available(_read("/proc/meminfo")),
        sum(size - used for area, (size, used) in areas.items() if area not in (file.path, new.path)),
    )


def _look_at(path: str, areas: dict[str, tuple[int, int]]) -> File:
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return File(path)
    for kind, test in (("directory", stat.S_ISDIR), ("symbolic link", stat.S_ISLNK), ("block device", stat.S_ISBLK)):
        if test(status.st_mode):
            return File(path, kind)
    if not stat.S_ISREG(status.st_mode):
        return File(path, "special file")
    size = _swap_size(path)
    return File(
        path,
        "file that holds something else" if size is None else "swap file",
        size if size and min(status.st_size, status.st_blocks * 512) >= size else 0,
        status.st_blocks * 512,
        stat.S_IMODE(status.st_mode),
        (status.st_uid, status.st_gid),
        path in areas,
        areas.get(path, (0, 0))[1],
    )


def _swap_size(path: str) -> int | None:
    """What the header says that mkswap writes (version and last page behind 1 KiB, a signature at the page's end)."""
    with Path(path).open("rb") as file:
        header = file.read(PAGE)
    if not header.endswith(b"SWAPSPACE2"):
        return None
    return (struct.unpack_from("=I", header, 1028)[0] + 1) * PAGE


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="surrogateescape")


# The plan -------------------------------------------------------------------------------------------------------

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


def retreat(before: Host, now: Host) -> list[Step]:
    """The steps from a plan that failed half-way to the protection of before."""
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
        _check_memory(now, now.file.used + now.new.used, now.memory * USABLE_MEMORY + now.elsewhere)


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


def _check_memory(now: Host, used: int, room: float) -> None:
    if used > room:
        raise SwapError(
            f"{now.file.path} can't be switched off: {_about(used)} of memory is swapped out to it, and there is room"
            f" for {_about(room)} elsewhere. Stop something that takes memory, then try again."
        )


def _about(size: float) -> str:
    return f"{size / MIB:.0f}M"


# The act --------------------------------------------------------------------------------------------------------


class Hands:
    """Takes the steps on the host itself."""

    def __init__(self, path: str, size: int | None, run: Callable[..., None], log: Callable[[str], None]) -> None:
        self.path = path
        self.size = size or 0
        self.run = run
        self.log = log

    def look(self) -> Host:
        return look(self.path)

    def take(self, step: Step) -> None:
        self.log(str(step))
        getattr(self, step.verb)(step.path)

    def make(self, path: str) -> None:
        filesystem = self.look().filesystem
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            if filesystem == "btrfs":
                # No compression and no copies on write: one after the other, and while the file is empty.
                self.run("chattr", "-c", path)
                self.run("chattr", "+C", path)
            if filesystem in PREALLOCATED:
                os.posix_fallocate(file.fileno(), 0, self.size)
            else:
                self._fill(file)
            os.fsync(file.fileno())
        self.run("mkswap", "--label", LABEL, path)

    def _fill(self, file: Any) -> None:
        for written in range(0, self.size, MIB):
            if written and written % (256 * MIB) == 0:
                self.log(f"{format_size(written)} of {format_size(self.size)} written")
            file.write(bytes(min(MIB, self.size - written)))
        file.flush()

    def protect(self, path: str) -> None:
        os.chown(path, 0, 0)
        Path(path).chmod(0o600)

    def on(self, path: str) -> None:
        self.run("swapon", path)

    def off(self, path: str) -> None:
        # Memory may have become short since the plan was made.
        now = self.look()
        this, other = (now.file, now.new) if path == now.file.path else (now.new, now.file)
        _check_memory(now, this.used, now.memory * USABLE_MEMORY + now.elsewhere + other.room)
        self.run("swapoff", path)

    def rename(self, path: str) -> None:
        Path(path).replace(self.look().file.path)

    def remove(self, path: str) -> None:
        Path(path).unlink()


def carry_out(hands: Hands, before: Host, steps: Sequence[Step]) -> None:
    """Takes the steps; where one fails, goes back to the protection of before and says what was wrong."""
    try:
        for step in steps:
            hands.take(step)
    except (SwapError, OSError) as error:
        with suppress(SwapError, OSError):
            for back in retreat(before, hands.look()):
                hands.take(back)
        raise SwapError(f"Could not {step}: {error}") from error
