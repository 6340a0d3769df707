# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the host with the plan, and does what differs: files, the sampler's user and timer, and exporters."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from .._common import files, systemd
from .._common.files import File
from .._common.paths import UNITS
from . import sampler
from .exporters import EXPORTERS, REDIS_ENVIRONMENT, Exporter
from .plan import QUEUES, Files

_TIMER = f"{sampler.UNIT}.timer"
_SAMPLE = 60  # seconds; the unit has a time-out of its own


def look(wanted: Files) -> dict[str, File | None]:
    """The files on the host that are wanted, or are not any more, by their paths; None for a missing one."""
    engine = map(str, sorted(Path(sampler.DIRECTORY).rglob("*.py")))
    return {path: files.read(path) for path in dict.fromkeys((*wanted, *engine))}


class Host:
    """What differs on this host, in words; and what makes it as it has to be.

    exporters: the names of those that have to run, if they are installed.
    leaving: those whose packages are about to be removed.
    """

    def __init__(
        self,
        wanted: Files,
        before: Mapping[str, File | None],
        exporters: Collection[str],
        leaving: Collection[str],
    ) -> None:
        self.wanted, self.exporters, self.leaving = wanted, exporters, leaving
        self.measures = bool(wanted[sampler.PROGRAM])
        self.files = [path for path in before if before[path] != wanted.get(path)]
        self.link = sampler.METRICS if "node" in exporters else None
        self.runs = _running([_TIMER, *(each.unit for each in EXPORTERS.values())])

    def differences(self) -> list[str]:
        """Files, users and units that are changed."""
        found = list(self.files)
        found += [sampler.TEXTFILE] if _link() != self.link else []
        found += [f"user {sampler.USER}"] if _has_user() != self.measures else []
        found += [_TIMER] if self.measures and not self.runs[_TIMER] else []
        return found + [each.unit for each in self._stopped()]

    def apply(self) -> None:
        if self.measures:
            self._measure()
        else:
            self._stop_measuring()
        self._run_exporters()

    def _measure(self) -> None:
        if not _has_user():
            systemd.run(
                *("useradd", "--system", "--user-group", "--no-create-home", "--home-dir=/nonexistent"),
                *("--shell=/usr/sbin/nologin", "--comment=evenkeel.celery", sampler.USER),
            )
        self._write()
        if not self.runs[_TIMER]:
            systemd.run("systemctl", "enable", "--now", _TIMER)
        elif f"{UNITS}/{_TIMER}" in self.files:
            systemd.run("systemctl", "restart", _TIMER)
        if self.files or _link() != self.link:
            # Its metrics are there at once, also for the link, and an error is one of this play.
            _take_a_sample()
        if _link() != self.link:
            files.write(sampler.TEXTFILE, File(b"", link=self.link) if self.link else None)

    def _stop_measuring(self) -> None:
        if _link():
            files.write(sampler.TEXTFILE, None)
        with contextlib.suppress(systemd.SystemdError):  # there is none, or it has left nothing
            systemd.run("systemctl", "disable", "--now", _TIMER)
            systemd.run("systemctl", "stop", f"{sampler.UNIT}.service")
            systemd.run("systemctl", "clean", "--what=state", f"{sampler.UNIT}.service")
        self._write()
        if _has_user():
            systemd.run("userdel", sampler.USER)

    def _write(self) -> None:
        for path in self.files:
            files.write(path, self.wanted.get(path))
            _remove_empty(Path(path).parent)
        if any(path.startswith(UNITS) for path in self.files):
            systemd.run("systemctl", "daemon-reload")

    def _run_exporters(self) -> None:
        for name, exporter in EXPORTERS.items():
            about = {exporter.drop_in, *((REDIS_ENVIRONMENT, QUEUES) if name == "redis" else ())}
            # One whose package goes keeps its address until then.
            if exporter.installed and about & set(self.files) and name not in self.leaving:
                systemd.run("systemctl", "try-restart", exporter.unit)
        for exporter in self._stopped():
            systemd.run("systemctl", "enable", "--now", exporter.unit)

    def _stopped(self) -> list[Exporter]:
        """Exporters that do not run, or not at boot, although they are installed."""
        wanted = [EXPORTERS[name] for name in EXPORTERS if name in self.exporters]
        return [each for each in wanted if each.installed and not self.runs[each.unit]]


def _take_a_sample() -> None:
    try:
        systemd.run("systemctl", "start", f"{sampler.UNIT}.service", timeout=_SAMPLE)
    except systemd.SystemdError as error:
        said = systemd.journal([systemd.look([sampler.UNIT])[sampler.UNIT].invocation])
        raise systemd.SystemdError("\n".join([f"{sampler.UNIT}.service has failed:", *said])) from error


def _running(units: Sequence[str]) -> dict[str, bool]:
    """Whether each unit runs, now and at boot."""
    shown = systemd.run("systemctl", "show", "--property=ActiveState,UnitFileState", *units).split("\n\n")
    up = {"ActiveState=active", "UnitFileState=enabled"}
    return {unit: up <= set(block.split()) for unit, block in zip(units, shown)}


def _has_user() -> bool:
    try:
        pwd.getpwnam(sampler.USER)
    except KeyError:
        return False
    return True


def _link() -> str | None:
    """Where the link for node_exporter leads; None if there is none."""
    try:
        return os.readlink(sampler.TEXTFILE)  # noqa: PTH115 -- exactly as it is written
    except FileNotFoundError:
        return None
    except OSError:  # no link: a file of this name
        return ""


def _remove_empty(directory: Path) -> None:
    """Removes a directory of ours that is empty, and then its parents."""
    while _is_ours(directory) and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent


def _is_ours(directory: Path) -> bool:
    drop_ins = {Path(exporter.drop_in).parent for exporter in EXPORTERS.values()}
    return Path(sampler.DIRECTORY) in (directory, *directory.parents) or directory in drop_ins
