# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts and stops a service's units, and waits for that, but not for ever.

A service can put off its own time-outs for as long as it likes (EXTEND_TIMEOUT_USEC= in sd_notify(3)), and a process
can hang in the kernel. `names` are a service's units, first its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Callable

from .._common import systemd

MARGIN = 30  # seconds that systemd may take in addition to a unit's time-outs


def of(service: str, paths: Iterable[str]) -> list[str]:
    """The names of the units among a service's files, first its own."""
    return [service, *sorted({Path(path).stem for path in paths if path.endswith(".service")} - {service})]


def stop(names: list[str], warn: Callable[[str], None]) -> None:
    """Stops those that are loaded, as the service is. Raises LateError if not even SIGKILL ends them."""
    loaded = {name: unit for name, unit in systemd.look(names).items() if unit.exists}
    services = _services(loaded)
    seconds = max(unit.stop_timeout for unit in loaded.values()) + MARGIN
    try:
        systemd.run("systemctl", "stop", *services, timeout=seconds)
    except systemd.LateError:
        warn(_killed(names[0], seconds))
        _kill(services)
        systemd.run("systemctl", "stop", *services, timeout=MARGIN)


def forget_state(name: str) -> None:
    """Removes what a service that has stopped has stored in its StateDirectory=, if it has one."""
    if systemd.look([name])[name].state_directory:
        systemd.run("systemctl", "clean", "--what=state", f"{name}.service")


def restart(names: list[str], warn: Callable[[str], None]) -> None:
    """Restarts the service, with what systemd starts before it. Raises LateError if it does not start in time."""
    (service, *_others) = _services(names)
    units = systemd.look(names)
    seconds = units[names[0]].stop_timeout + MARGIN
    try:
        systemd.run("systemctl", "restart", service, timeout=seconds)
    except systemd.LateError:
        if systemd.look(names)[names[0]].active_state == "deactivating":
            warn(_killed(names[0], seconds))
            _kill([service])
        _wait_for_start(service, sum(unit.start_timeout for unit in units.values()) + MARGIN)


def _wait_for_start(service: str, seconds: float) -> None:
    """Waits for the restart that is under way."""
    try:
        systemd.run("systemctl", "start", service, timeout=seconds)
    except systemd.LateError:
        # It has no tasks yet, and would put off its end, too.
        _kill([service])
        raise


def forget_failures(names: list[str]) -> None:
    """Earlier crashes must not count against the next start (StartLimitBurst=). Fails for a unit that was removed."""
    with contextlib.suppress(systemd.SystemdError):
        systemd.run("systemctl", "reset-failed", *_services(names))


def _killed(service: str, seconds: float) -> str:
    return (
        f"{service} had not stopped after {seconds:g} s, so its processes were killed. Tasks that they were executing"
        " were cut short."
    )


def _kill(services: Iterable[str]) -> None:
    with contextlib.suppress(systemd.SystemdError):  # by now they may have ended
        systemd.run("systemctl", "kill", "--signal=KILL", *services)


def _services(names: Iterable[str]) -> list[str]:
    return [f"{name}.service" for name in names]
