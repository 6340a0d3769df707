# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the state of the host's swap, and takes the steps of a plan."""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable

from ansible_collections.evenkeel.celery.plugins.module_utils._common import files
from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import format_size
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.plan import (
    MIB,
    PREALLOCATED,
    USABLE_MEMORY,
    File,
    Host,
    Step,
    SwapError,
    UnsupportedError,
    check_memory,
    roll_back,
)

PAGE = os.sysconf("SC_PAGE_SIZE")
SWAPS = "/proc/swaps"
_SYS_ADMIN = 1 << 21  # linux/capability.h
LABEL = "evenkeel"
_FIELDS = re.compile("[ \t]+")  # other white space may be in a name


def look(path: str) -> Host:
    """The host as it is; reads only."""
    # The path as /proc/swaps will have it; a link at the path itself is not followed.
    directory = Path(os.path.realpath(Path(path).parent))
    real = str(directory / Path(path).name)
    areas = parse_swaps(_read(SWAPS)) if Path(SWAPS).exists() else {}
    shared = _shared(Path(path).parent) if directory.is_dir() else ""
    # Where others could exchange a file, none is opened: it may be a link to a device by then.
    size_of = (lambda _path: 0) if shared else _swap_size
    file, new = (_look_at(each, areas, size_of) for each in (real, f"{real}.{LABEL}-new"))
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
        shared,
        refusal(),
    )


def refusal() -> str:
    """Why the kernel will refuse any swap file; empty if there is no reason to expect that."""
    if not Path(SWAPS).exists():
        return "it is built without swap"
    capabilities = int(re.search(r"^CapEff:\s*(\w+)", _read("/proc/self/status"), re.MULTILINE)[1], 16)
    if os.geteuid() == 0 and not capabilities & _SYS_ADMIN:
        return "this host is a container without the capability SYS_ADMIN"
    if _read("/proc/self/uid_map").split() != ["0", "0", str(2**32 - 1)]:
        return "this host is a container whose root is another user outside of it"
    return ""


def _shared(directory: Path) -> str:
    """The first directory, from the top, in which others than root could exchange a name on the way; empty if none."""
    try:
        with files.open_directory(directory):  # refuses links in such directories
            pass
    except OSError:
        return str(directory)
    real = Path(os.path.realpath(directory))
    for each in reversed([real, *real.parents]):
        if not files.only_we_write(each.stat()):
            return str(each)
    return ""


def _look_at(path: str, areas: dict[str, tuple[int, int]], size_of: Callable[[str], int | None]) -> File:
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return File(path)
    for kind, test in (("directory", stat.S_ISDIR), ("symbolic link", stat.S_ISLNK), ("block device", stat.S_ISBLK)):
        if test(status.st_mode):
            return File(path, kind)
    if not stat.S_ISREG(status.st_mode):
        return File(path, "special file")
    size = size_of(path)
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
    """The size in the header that mkswap writes (version and last page at 1 KiB, signature at the end of the page).

    None if the file has no such header.
    """
    header = files.read_start(path, PAGE)
    if not header.endswith(b"SWAPSPACE2"):
        return None
    return (struct.unpack_from("=I", header, 1028)[0] + 1) * PAGE


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="surrogateescape")


def parse_swaps(text: str) -> dict[str, tuple[int, int]]:
    """The size and the used bytes of each active swap area, from the text of /proc/swaps."""
    areas = {}
    for line in text.rstrip("\n").split("\n")[1:]:
        path, _kind, size, used, _priority = _FIELDS.split(line)
        areas[unescape(path)] = (int(size) * 1024, int(used) * 1024)
    return areas


def parse_filesystem(mountinfo: str, directory: str) -> str:
    """The type of the file system that a directory, given without links, is on."""
    best, found = "", ""
    for line in mountinfo.rstrip("\n").split("\n"):
        mount, filesystem = line.split(" - ", 1)
        point = unescape(mount.split(" ")[4])
        # A later mount hides an earlier one at the same place.
        if os.path.commonpath([point, directory]) == point and len(point) >= len(best):
            best, found = point, filesystem.split(" ")[0]
    return found


def parse_available(meminfo: str) -> int:
    """Bytes of MemAvailable in /proc/meminfo."""
    return int(re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)[1]) * 1024


def unescape(text: str) -> str:
    """The path that the kernel prints with octal escapes for white space and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


class Runner:
    """Takes the steps on the host."""

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
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # whatever the umask
            if filesystem == "btrfs":
                # No compression and no copy-on-write, in this order, and while the file is empty.
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

    def on(self, path: str) -> None:
        try:
            self.run("swapon", path)
        except SwapError as error:
            if os.strerror(errno.EPERM) in str(error):
                raise UnsupportedError(str(error)) from None
            raise

    def off(self, path: str) -> None:
        # Memory may have become scarce since the plan was made.
        now = self.look()
        this, other = (now.file, now.new) if path == now.file.path else (now.new, now.file)
        check_memory(now, this.used, now.memory * USABLE_MEMORY + now.elsewhere + other.room)
        self.run("swapoff", path)

    def rename(self, path: str) -> None:
        Path(path).replace(self.look().file.path)

    def remove(self, path: str) -> None:
        Path(path).unlink()


def apply(runner: Runner, before: Host, steps: Sequence[Step]) -> None:
    """Takes the steps. After a failure, restores the swap that the host had, and raises SwapError."""
    try:
        for step in steps:
            runner.take(step)
    except (SwapError, OSError) as error:
        with suppress(SwapError, OSError):
            for back in roll_back(before, runner.look()):
                runner.take(back)
        kind = UnsupportedError if isinstance(error, UnsupportedError) else SwapError
        raise kind(f"Could not {step}: {error}") from error
