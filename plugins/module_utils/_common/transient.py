# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program in a transient unit of systemd's: as another user, in that user's sandbox, bounded, leaving nothing.

systemd starts it, so it has no terminal, no descriptor but its output, and no parent that belongs to root's session.
Whatever it starts, daemons too, is in the unit's control group and is killed with it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from . import processes, programs, systemd

# Seconds that systemd may need in addition, to set up the unit and to kill what it leaves.
MARGIN = 20
MOST = processes.MOST  # bytes of output

# A service's directives that a program in its place must not have: how it is supervised, and whatever else would run,
# remain or be removed with it.
SUPERVISION = re.compile(
    "Type|NotifyAccess|PIDFile|BusName|Exec(Start|Stop|Reload|Condition).*|Restart.*|Timeout.*|Watchdog.*|RuntimeMaxSec|Kill.*|.*KillSignal|Send.*"
    "|Success.*|OOM.*|MemoryHigh|MemoryMax|MemorySwapMax|Tasks.*|EnvironmentFile|Standard.*|Slice|Delegate.*"
    "|FileDescriptor.*|Sockets|(Runtime|State|Cache|Logs|Configuration)Directory.*"
)
_END = "\nFinished with result: "


@dataclass(frozen=True)
class Result:
    """What a program wrote, and how its unit ended."""

    unit: str
    outcome: str  # systemd's word (success, exit-code, signal, timeout, …), output, or empty: it was not started
    status: int
    output: str
    error: str
    signal: str = ""  # that ended its main process: KILL, SYS, …


def run(prefix: str, command: Iterable[str], properties: Iterable[str], seconds: float) -> Result:
    """Runs a program for at most so many seconds. `properties`: as systemd-run takes them, such as User=nobody."""
    unit = f"{prefix}-{secrets.token_hex(6)}.service"
    usual = ("TasksMax=1000", "OOMScoreAdjust=1000")
    bounds = (f"RuntimeMaxSec={seconds:g}", "TimeoutStopSec=5", "KillMode=control-group", "KillSignal=SIGKILL")
    line = ["systemd-run", "--pipe", "--wait", "--collect", f"--unit={unit}", f"--description={prefix}"]
    line += [f"--property={each}" for each in (*usual, *properties, *bounds)]
    # systemd expands variables in the command line.
    line += ["--", *(word.replace("$", "$$") for word in command)]
    outcome = "output"
    try:
        result = processes.run(line, seconds + MARGIN, env=programs.ENVIRONMENT)
        outcome = {"time": "timeout", "output": "output"}.get(result.exceeded, "")
    finally:
        if outcome:
            kill(unit)  # only systemd-run has ended
    error, end, about = ("\n" + result.error).rpartition(_END)
    if end and not outcome:
        outcome = about.split(maxsplit=1)[0]
    signal = re.search(r"code=(?:killed|dumped)/status=(\w+)", about) if end else None
    error = re.sub(f"^\\s*Running as unit: {unit}.*\n?", "", error if end else result.error)
    return Result(unit, outcome, result.status, result.output, error.strip(), signal[1] if signal else "")


def circumstances(service: str) -> list[str]:
    """What a service's unit says of where it runs, such as its sandbox, as properties for run(). Raises SystemdError.

    Without its specifiers (%h): systemd does not expand them in a transient unit.
    """
    text = systemd.run("systemctl", "cat", "--no-pager", f"{service}.service").replace("\\\n", " ")
    found, section = [], ""
    for line in map(str.strip, text.split("\n")):
        section = line if line.startswith("[") else section
        name, equals, value = line.partition("=")
        if section == "[Service]" and equals and name[:1].isalpha() and not SUPERVISION.fullmatch(name):
            found += [] if "%" in value.replace("%%", "") else [f"{name}={value.replace('%%', '%')}"]
    return found


def kill(units: str) -> None:
    """Ends a unit, or all whose names match a pattern, at once."""
    processes.run(["systemctl", "kill", "--signal=KILL", units], MARGIN, env=programs.ENVIRONMENT)
