# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings beside the swap file: its line in /etc/fstab, and the kernel's swappiness, now and at boot."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

from ansible_collections.evenkeel.celery.plugins.module_utils._common import files
from ansible_collections.evenkeel.celery.plugins.module_utils._common.paths import MARKER

FSTAB = "/etc/fstab"
# Files are read in the order of their names, and the last value counts: zz- comes after Debian's 99-sysctl.conf.
SYSCTL = "/etc/sysctl.d/zz-evenkeel-swap.conf"
KERNEL = "/proc/sys/vm/swappiness"


@dataclass(frozen=True)
class Settings:
    fstab: str
    sysctl: str  # our file; empty if there is none
    swappiness: int  # the kernel's, now


def look() -> Settings:
    """The host's settings as they are; reads only."""
    return Settings(_read(FSTAB), _read(SYSCTL), int(_read(KERNEL)))


def plan(now: Settings, paths: Sequence[str], present: bool, swappiness: int | None) -> Settings:
    """The settings for a swap file, or for none.

    paths: the paths by which fstab may name it; a new line has the first.
    swappiness: None leaves it as it is. Without a swap file, the kernel keeps its swappiness until the next boot.
    """
    after = replace(now, fstab=(with_swap if present else without_swap)(now.fstab, paths))
    if swappiness is None:
        return after
    if not present:
        return replace(after, sysctl="")
    return replace(after, sysctl=f"{MARKER}\nvm.swappiness = {swappiness}\n", swappiness=swappiness)


def with_swap(fstab: str, paths: Sequence[str]) -> str:
    """fstab with one line for the swap file, which switches it on at boot. An existing line keeps its other options."""
    kept, found = [], False
    for line in _lines(fstab):
        if not _is_of(line, paths):
            kept.append(line)
        elif not found:
            found = True
            kept.append(_automatic(line))
    if not found:
        if kept and not kept[-1].endswith("\n"):
            kept.append("\n")
        kept.append(f"{paths[0]} none swap sw 0 0\n")
    return "".join(kept)


def without_swap(fstab: str, paths: Sequence[str]) -> str:
    return "".join(line for line in _lines(fstab) if not _is_of(line, paths))


def _lines(fstab: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", fstab)


def _fields(line: str) -> list[str]:
    """The fields of a line, fstab(5): only spaces and tabs are between them."""
    return re.findall(r"[^ \t\n]+", line)


def _is_of(line: str, paths: Sequence[str]) -> bool:
    source, _mount_point, kind, *_rest = [*_fields(line), "", "", ""]
    return source in paths and kind == "swap"


def _automatic(line: str) -> str:
    """The line without `noauto`, and otherwise unchanged."""
    fields = _fields(line)
    options = fields[3].split(",") if len(fields) > 3 else []
    if "noauto" not in options:
        return line
    fields[3] = ",".join(option for option in options if option != "noauto") or "sw"
    return " ".join(fields) + "\n"


def shown(settings: Settings, paths: Sequence[str]) -> dict[str, str]:
    """The settings by the file that holds them; of fstab only the swap file's lines, as others may have passwords."""
    lines = (line for line in _lines(settings.fstab) if _is_of(line, paths))
    return {FSTAB: "".join(lines), SYSCTL: settings.sysctl, KERNEL: f"{settings.swappiness}\n"}


def apply(before: Settings, after: Settings, run: Callable[..., None]) -> None:
    """Writes what differs."""
    if after.fstab != before.fstab:
        _write(os.path.realpath(FSTAB), after.fstab)
        run("systemctl", "daemon-reload")  # makes a unit of each line
    if after.sysctl != before.sysctl:
        if after.sysctl:
            _write(SYSCTL, after.sysctl)
        else:
            files.write(SYSCTL, None)
    if after.swappiness != before.swappiness:
        Path(KERNEL).write_text(f"{after.swappiness}\n", encoding="ascii")


def _read(path: str) -> str:
    file = files.read(path)
    return file.content.decode("utf-8", "surrogateescape") if file else ""


def _write(path: str, text: str) -> None:
    before = files.read(path)
    mode = before.mode if before else 0o644
    files.write(path, files.File(text.encode("utf-8", "surrogateescape"), mode))
