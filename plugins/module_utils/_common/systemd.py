# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries systemd, and runs its commands."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .programs import ENVIRONMENT
from .quantities import parse_duration
from .texts import printable

A_DAY = 86400.0  # seconds
ANSWER = 120  # seconds in which systemd answers, unless it is asked to wait for a unit

_LONGEST = 20_000  # characters of a program's message
_LINES = 1000  # of a journal, in which to look for the first error
_FEW_LINES = 20  # of a journal: so many can always be read, however long they are
_LONGEST_LINE = 1000  # characters


class SystemdError(Exception):
    """A command of systemd failed; the message is its output."""


class LateError(SystemdError):
    """A command of systemd has not ended in time, so it is not waited for any more."""


@dataclass(frozen=True)
class Unit:
    """A unit as systemd has it loaded."""

    load_state: str  # loaded, not-found, masked, …
    active_state: str
    unit_file_state: str  # enabled, disabled, static, … or empty
    fragment: str  # the unit file's path, or empty
    invocation: str  # the ID of the service's current run, a new one for each start
    drop_ins: tuple[str, ...]
    start_timeout: float = 0  # seconds, TimeoutStartSec=
    stop_timeout: float = 0  # seconds, TimeoutStopSec=
    state_directory: str = ""  # StateDirectory=, below /var/lib

    @property
    def exists(self) -> bool:
        return self.load_state != "not-found"

    @property
    def ready(self) -> bool:
        return self.active_state in ("active", "reloading")

    @property
    def active(self) -> bool:
        """Ready, or being started: for the first time, or between two crashes."""
        return self.ready or self.active_state == "activating"

    @property
    def stopped(self) -> bool:
        """It was stopped, and neither failed nor is about to start again."""
        return self.active_state == "inactive"

    @property
    def enabled(self) -> bool:
        """Starts at boot. The unit of a SysV script is always reported as generated."""
        return self.unit_file_state in ("enabled", "generated")


def run(*command: str, timeout: float = ANSWER) -> str:
    """Its output. Raises SystemdError if it fails, LateError if that takes longer than `timeout` seconds."""
    result = processes.run(list(command), timeout, env=ENVIRONMENT)
    if result.exceeded:
        raise LateError(f"{' '.join(command)} had not ended after {timeout:g} s")
    if result.status != 0:
        message = printable(f"{result.error}{result.output}".strip(), _LONGEST, keep="\n\t")
        raise SystemdError(message or f"{' '.join(command)} ended with {result.status}")
    return result.output


def look(names: Iterable[str]) -> dict[str, Unit]:
    """The services of these names, by one call."""
    properties = (
        *("LoadState", "ActiveState", "UnitFileState", "FragmentPath", "InvocationID", "DropInPaths"),
        *("TimeoutStartUSec", "TimeoutStopUSec", "StateDirectory"),
    )
    return {name: _unit(found) for name, found in show(names, properties).items()}


def show(names: Iterable[str], properties: Iterable[str]) -> dict[str, dict[str, str]]:
    """Properties of the services of these names as systemd prints them, by one call. Raises SystemdError."""
    names = list(names)
    if not names:
        return {}
    command = ["systemctl", "show", f"--property={','.join(properties)}", "--"]
    blocks = run(*command, *(f"{name}.service" for name in names)).split("\n\n")
    found = ((line.split("=", 1) for line in block.split("\n") if "=" in line) for block in blocks)
    return {name: dict(pairs) for name, pairs in zip(names, found)}


def _unit(found: Mapping[str, str]) -> Unit:
    return Unit(
        load_state=found["LoadState"],
        active_state=found["ActiveState"],
        unit_file_state=found.get("UnitFileState", ""),
        fragment=found.get("FragmentPath", ""),
        invocation=found.get("InvocationID", ""),
        drop_ins=tuple(found.get("DropInPaths", "").split()),
        start_timeout=_seconds(found.get("TimeoutStartUSec", "")),
        stop_timeout=_seconds(found.get("TimeoutStopUSec", "")),
        state_directory=found.get("StateDirectory", ""),
    )


def _seconds(timeout: str) -> float:
    """Of a time-out as systemd prints it: 1min 30s. A day is enough for one of months, or infinity."""
    try:
        return min(parse_duration(timeout), A_DAY)
    except ValueError:
        return A_DAY


def verify(units: Mapping[str, str]) -> dict[str, str]:
    """What `systemd-analyze verify` reports about these unit texts, by name, before any of them is in place."""
    if not units:
        return {}
    with tempfile.TemporaryDirectory(prefix="evenkeel-") as directory:
        paths = {name: Path(directory, f"{name}.service") for name in units}
        for name, path in paths.items():
            path.write_text(units[name], encoding="utf-8")
        command = ["systemd-analyze", "verify", "--man=no", *map(str, paths.values())]
        result = processes.run(command, ANSWER, env=ENVIRONMENT)
    if result.exceeded:
        # It looks at the executables, which may be on a file system that hangs.
        raise SystemdError(f"systemd-analyze verify exceeded its limit of {result.exceeded}. Look at the units' paths.")
    complaints = {}
    for name, path in paths.items():
        # All its lines are errors to us, also warnings: an option that systemd does not know would have no effect.
        about = [
            line.replace(str(path), path.name)
            for line in (result.output + result.error).splitlines()
            if line.startswith((f"{path}:", f"{path.name}:")) and "is marked executable" not in line
        ]
        if about:
            complaints[name] = "\n".join(about)
    return complaints


def unknown(directives: list[str]) -> list[str]:
    """Those of the directives that systemd does not know in the [Service] section."""
    if not directives:
        return []
    text = "[Service]\nExecStart=/bin/true\n" + "".join(f"{directive}=\n" for directive in directives)
    complaints = verify({"evenkeel": text}).get("evenkeel", "")
    return re.findall("Unknown key (?:name )?'([^']*)' in section", complaints)


def clock_is_synchronized() -> bool:
    """Also if that can't be found out, as in some containers."""
    try:
        return run("timedatectl", "show", "--property=NTPSynchronized", "--value").strip() != "no"
    except SystemdError:
        return True


def journal(invocations: Iterable[str]) -> list[str]:
    """The journal's last lines of one run of each unit, printable: its own output, and systemd's messages about it."""
    ids = [each for each in invocations if each]
    if not ids:
        return ["It has no entries, as systemd did not start the service."]
    matches = [f"{field}={each}" for each in ids for field in ("_SYSTEMD_INVOCATION_ID", "INVOCATION_ID")]
    return _journal(_LINES, *" + ".join(matches).split())


def why_not_prepared(unit: str) -> str:
    """What the journal says of a process that systemd could not set up; systemd may have forgotten the unit already."""
    lines = _journal(10, f"UNIT={unit}")
    return "; ".join(line.removeprefix(f"{unit}: ") for line in lines if re.search("Failed (to|at step)", line))


def _journal(lines: int, *matches: str) -> list[str]:
    """Its last lines; fewer of them if they are very long."""
    try:
        output = run("journalctl", f"--lines={lines}", "--no-pager", "--output=cat", *matches)
    except LateError as error:
        if lines > _FEW_LINES:
            return _journal(_FEW_LINES, *matches)
        output = str(error)
    except SystemdError as error:
        output = str(error)
    return [printable(line, _LONGEST_LINE, keep="\t") for line in output.rstrip("\n").split("\n")]
