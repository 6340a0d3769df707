# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the host with the plan, and does what differs: files, the sampler's user and timer, and exporters.

What has to be restarted is seen on the host, and not by what this run has written: a run that failed, or was killed, is
completed by the next one.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from .._common import files, systemd
from .._common.files import File
from .._common.paths import UNITS
from . import sampler
from .exporters import EXPORTERS, REDIS_ENVIRONMENT, Exporter
from .plan import QUEUES, Files

_TIMER = f"{sampler.UNIT}.timer"
_SERVICE = f"{sampler.UNIT}.service"
# What each unit reads when it starts.
_READS: Mapping[str, Sequence[str]] = {
    _TIMER: [f"{UNITS}/{_TIMER}"],
    EXPORTERS["node"].unit: [EXPORTERS["node"].drop_in],
    EXPORTERS["redis"].unit: [EXPORTERS["redis"].drop_in, REDIS_ENVIRONMENT, QUEUES],
}
_SAMPLE = 60  # seconds; the unit has a time-out of its own


def look(wanted: Files) -> dict[str, File | None]:
    """The files on the host that are wanted, or are not any more, by their paths; None for a missing one."""
    engine = map(str, sorted(Path(sampler.DIRECTORY).rglob("*.py")))
    return {path: files.read(path) for path in dict.fromkeys((*wanted, *engine))}


class Host:
    """What differs on this host, in words; and what makes it as it has to be.

    exporters: the names of those that have to run, if they are installed.
    leaving: those whose packages are about to be removed. They are stopped, and keep their drop-ins until then.
    """

    def __init__(
        self,
        wanted: Files,
        before: Mapping[str, File | None],
        exporters: Collection[str],
        leaving: Collection[str],
    ) -> None:
        self.wanted, self.exporters = wanted, exporters
        self.measures = bool(wanted[sampler.PROGRAM])
        self.files = [path for path in before if before[path] != wanted.get(path)]
        self.link = sampler.METRICS if "node" in exporters else None
        self.units = _look([*_READS, _SERVICE])
        self.leaving = [EXPORTERS[name].unit for name in leaving if self.units[EXPORTERS[name].unit].starts]
        self.unloaded = [unit for unit in self.units if self.units[unit].unloaded and self._is_ours(unit)]

    def differences(self) -> list[str]:
        """Files, users and units that are changed."""
        found = list(self.files)
        found += [sampler.TEXTFILE] if _link() != self.link else []
        found += [f"user {sampler.USER}"] if _has_user() != self.measures else []
        found += [_TIMER] if self.measures and not self.units[_TIMER].runs else []
        found += [_SERVICE] if self.measures and self.units[_SERVICE].failed else []
        found += [*self.leaving, *self.unloaded, *filter(self._outdated, _READS)]
        return list(dict.fromkeys([*found, *(each.unit for each in self._stopped())]))

    def apply(self) -> None:
        for unit in self.leaving:
            systemd.run("systemctl", "disable", "--now", unit)
        if self.measures:
            self._measure()
        else:
            self._stop_measuring()

    def _measure(self) -> None:
        if not _has_user():
            systemd.run(
                *("useradd", "--system", "--user-group", "--no-create-home", "--home-dir=/nonexistent"),
                *("--shell=/usr/sbin/nologin", "--comment=evenkeel.celery", sampler.USER),
            )
        self._write()
        self._run_exporters()
        if not self.units[_TIMER].runs:
            systemd.run("systemctl", "enable", "--now", _TIMER)
        elif self._outdated(_TIMER):
            systemd.run("systemctl", "restart", _TIMER)
        if self.files or self.units[_SERVICE].failed or _link() != self.link:
            # Its metrics are there at once, also for the link, and an error is one of this play.
            _take_a_sample()
        if _link() != self.link:
            files.write(sampler.TEXTFILE, File(b"", link=self.link) if self.link else None)

    def _stop_measuring(self) -> None:
        if _link():
            files.write(sampler.TEXTFILE, None)
        with contextlib.suppress(systemd.SystemdError):  # there is none, or it has left nothing
            systemd.run("systemctl", "disable", "--now", _TIMER)
            systemd.run("systemctl", "stop", _SERVICE)
            systemd.run("systemctl", "clean", "--what=state", _SERVICE)
        self._write()
        self._run_exporters()
        if _has_user():
            systemd.run("userdel", sampler.USER)

    def _write(self) -> None:
        for path in self.files:
            files.write(path, self.wanted.get(path))
            _remove_empty(Path(path).parent)
        if self.unloaded or any(path.startswith(UNITS) for path in self.files):
            systemd.run("systemctl", "daemon-reload")

    def _run_exporters(self) -> None:
        for exporter in EXPORTERS.values():
            if exporter.installed and self._outdated(exporter.unit):
                systemd.run("systemctl", "try-restart", exporter.unit)
        for exporter in self._stopped():
            systemd.run("systemctl", "enable", "--now", exporter.unit)

    def _stopped(self) -> list[Exporter]:
        """Exporters that do not run, or not at boot, although they are installed."""
        wanted = [EXPORTERS[name] for name in EXPORTERS if name in self.exporters]
        return [each for each in wanted if each.installed and not self.units[each.unit].runs]

    def _is_ours(self, unit: str) -> bool:
        """Whether it has settings of ours, or has to have: an exporter may be an administrator's alone."""
        drop_ins = [each.drop_in for each in EXPORTERS.values() if each.unit == unit]
        return not drop_ins or any(self.wanted.get(path) or path in self.units[unit].drop_ins for path in drop_ins)

    def _outdated(self, unit: str) -> bool:
        """Whether it runs with other settings than those that the files have, or will have."""
        now = self.units[unit]
        return now.active and (
            unit in self.unloaded
            or not set(_READS[unit]).isdisjoint(self.files)
            or any(now.since < changed <= time.time() for changed in map(_changed, _READS[unit]))
        )


@dataclass(frozen=True)
class _Unit:
    """A unit's state. since: when it became active, in seconds since 1970; 0 if it never was."""

    state: str  # active, inactive, failed, activating, …
    enabled: bool
    unloaded: bool  # its files have changed since systemd read them
    drop_ins: tuple[str, ...]  # that systemd has read
    since: float

    @property
    def active(self) -> bool:
        return self.state in ("active", "reloading")

    @property
    def failed(self) -> bool:
        return self.state == "failed"

    @property
    def runs(self) -> bool:
        """Now and at boot."""
        return self.active and self.enabled

    @property
    def starts(self) -> bool:
        """It runs, or would later or at boot."""
        return self.enabled or self.state not in ("inactive", "failed")


def _take_a_sample() -> None:
    try:
        systemd.run("systemctl", "start", _SERVICE, timeout=_SAMPLE)
    except systemd.SystemdError as error:
        said = systemd.journal([systemd.look([sampler.UNIT])[sampler.UNIT].invocation])
        raise systemd.SystemdError("\n".join([f"{_SERVICE} has failed:", *said])) from error


def _look(units: Sequence[str]) -> dict[str, _Unit]:
    properties = "ActiveState,UnitFileState,NeedDaemonReload,DropInPaths,ActiveEnterTimestamp"
    shown = systemd.run("systemctl", "show", "--timestamp=us+utc", f"--property={properties}", *units).split("\n\n")
    return {
        unit: _unit(dict(line.split("=", 1) for line in block.split("\n") if line)) for unit, block in zip(units, shown)
    }


def _unit(found: Mapping[str, str]) -> _Unit:
    return _Unit(
        state=found["ActiveState"],
        enabled=found["UnitFileState"] == "enabled",
        unloaded=found["NeedDaemonReload"] == "yes",
        drop_ins=tuple(found["DropInPaths"].split()),
        since=_seconds(found["ActiveEnterTimestamp"]),
    )


def _seconds(timestamp: str) -> float:
    """Of one that systemd prints: Fri 2026-11-27 21:38:31.785762 UTC, or nothing."""
    if not timestamp:
        return 0
    _weekday, day, clock, _utc = timestamp.split()
    return datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=timezone.utc).timestamp()


def _changed(path: str) -> float:
    """When the file was written, in seconds since 1970; 0 if there is none."""
    try:
        return os.stat(path).st_mtime  # noqa: PTH116 -- a string
    except FileNotFoundError:
        return 0


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
