# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory and the disks of this machine."""

from __future__ import annotations

import os
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path

from .._common import processes, systemd
from .._common.programs import ENVIRONMENT

_PLACES = ("/", "/var", "/var/lib", "/var/log", "/opt", "/srv", "/home")


@dataclass(frozen=True)
class Memory:
    """Bytes of this machine, or of the container if it has its own /proc/meminfo."""

    total: int
    used: int  # what is not available to programs
    swap_total: int
    swap_used: int


@dataclass(frozen=True)
class Disk:
    """A file system, by the first of the places that lie on it. Bytes; free: to others than root."""

    path: str
    total: int
    free: int


@dataclass(frozen=True)
class System:
    """What this machine runs."""

    os: str
    systemd: str
    kernel: str


@dataclass(frozen=True)
class Machine:
    """container: its memory may be that of the machine around it."""

    memory: Memory
    disks: list[Disk]
    booted: float  # epoch seconds
    container: bool


def look() -> Machine:
    return Machine(memory(), disks(), booted(), is_container())


def memory() -> Memory:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    found = {words[0].rstrip(":"): int(words[1]) * 1024 for words in map(str.split, lines)}
    total, swap = found["MemTotal"], found.get("SwapTotal", 0)
    return Memory(total, total - found["MemAvailable"], swap, swap - found.get("SwapFree", 0))


def disks() -> list[Disk]:
    """Those of the system. Not of the applications, whose directories may be on a file system that hangs."""
    found: dict[int, Disk] = {}
    for path in _PLACES:
        try:
            usage, device = os.statvfs(path), Path(path).stat().st_dev
        except OSError:
            continue
        found.setdefault(device, Disk(path, usage.f_blocks * usage.f_frsize, usage.f_bavail * usage.f_frsize))
    return list(found.values())


def booted() -> float:
    """When, in epoch seconds."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def is_container() -> bool:
    return processes.run(["systemd-detect-virt", "--container", "--quiet"], 10, env=ENVIRONMENT).status == 0


def system() -> System:
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.MULTILINE)
    version = re.match(r"systemd (\S+)", systemd.run("systemctl", "--version"))
    return System(name[1] if name else platform.system(), version[1] if version else "", platform.release())
