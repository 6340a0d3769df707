# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one change of one service: it then runs as wanted, or as before."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

from .._common import files, systemd
from .._common.paths import program_directory, unit_path
from . import report, store, units
from .plan import Change, Found, State, begun, fall_back, generation, is_ours, settled

LOOK_EVERY = 0.5  # seconds


@dataclass(frozen=True)
class Deployment:
    """One change of one service."""

    change: Change
    found: Found
    owner: store.Owner
    warn: Callable[[str], None]

    @property
    def name(self) -> str:
        return self.change.name

    @property
    def paths(self) -> list[str]:
        return [*{**self.found.files, **self.change.files}]

    @property
    def units(self) -> list[str]:
        """The names of its units, first the service's own."""
        return units.of(self.name, self.paths)

    def make(self) -> str:
        """Makes the change. Returns why it could not be made or had to be rolled back, or an empty text."""
        change, state = self.change, self.found.state
        if change.only_stored:
            failed = ""
        elif change.only_restart:
            failed, state = self._restart(), replace(state, code=change.code)
        else:
            failed, state = self._replace(), settled(change, self.found)
        if failed:
            return failed
        lost = self._remember(state, self.found.project if change.only_restart else None)
        return f"{self.name} is as wanted.{lost}" if lost else ""

    def _restart(self) -> str:
        """Restarts it with the files that it has. Returns why it is not up, or an empty text."""
        why, invocations = self._try(lambda: None)
        if not why:
            return ""
        outcome = "Its unit had not changed, so look at its application. Correct that, and run this again."
        return f"{self.name} {why}. {outcome}\nIts journal:\n{systemd.journal(invocations)}"

    def _replace(self) -> str:
        """Replaces its files, and restarts or stops it. Returns why not, or an empty text."""
        back = fall_back(self.change, self.found)
        with contextlib.ExitStack() as stack:
            # All that needs room on the disk comes first, also for a rollback. From then on, files are only renamed.
            try:
                self._begin()
                put_back = stack.enter_context(files.staged(back.files))
                put = stack.enter_context(files.staged(self.change.files))
            except OSError as error:
                return f"{self.name} was not changed: {error}. Correct this, and run this again."
            why, invocations = self._try(put)
            if why:
                outcome = self._undo(back, put_back)
                # The journal is read last: by now its last lines have arrived.
                journal = "\n".join(report.from_first_error(systemd.journal(invocations)))
                return f"{self.name} {why}. {outcome}\nIts journal:\n{journal}"
        self._tidy()
        return ""

    def _begin(self) -> None:
        """Stores everything that a rollback needs."""
        change, found = self.change, self.found
        for path in self.paths:
            files.remove_staged(path)
        if change.keep:
            store.keep_original(self.name, change.keep)
        after = {path: file for path, file in {**found.files, **change.files}.items() if file}
        for service_files in (found.files, after):
            store.keep_generation(self.name, service_files)
        # From here on the service is recorded as ours, even if this run is interrupted.
        store.remember(self.name, self.owner, begun(change, found, generation(after)))

    def _try(self, put: Callable[[], None]) -> tuple[str, list[str]]:
        """Switches the service over. Returns why it is not up, or an empty text, and the IDs of its units' runs."""
        try:
            self._switch(self.change, put)
        except (systemd.SystemdError, OSError) as error:
            return f"did not start: {first_line(error)}", self._invocations()
        invocations = self._invocations()
        try:
            up = self._stays_up(invocations[0])
        except systemd.SystemdError as error:
            return f"started, but could not be monitored: {first_line(error)}", invocations
        return "" if up else f"started, but did not stay up for {self.change.stay_up:g} s", invocations

    def _stays_up(self, invocation: str) -> bool:
        """Whether the service runs for as long as it has to without being restarted."""
        until = time.monotonic() + self.change.stay_up
        while self.change.stay_up:
            unit = systemd.look([self.name])[self.name]
            if not unit.ready or unit.invocation != invocation:
                return False
            if time.monotonic() >= until:
                break
            time.sleep(LOOK_EVERY)
        return True

    def _undo(self, back: Change, put_back: Callable[[], None]) -> str:
        """Rolls the change back. Returns what happened."""
        if not self.change.files and not self.found.state.pending:
            outcome = "None of its files had changed, so there was nothing to roll back."
        else:
            try:
                self._switch(back, put_back)
                outcome = "It was rolled back and runs." if back.run else "It was rolled back. It did not run before."
            except (systemd.SystemdError, OSError) as error:
                # The generation stays pending: the host may be going down, and the next run completes this.
                return f"It was rolled back, but does not start with its previous files either: {first_line(error)}."
        self._tidy()
        state = replace(self.found.state, current=back.current, pending=None, rolled_back=back.rolled_back)
        return outcome + self._remember(state, self.found.project)

    def _switch(self, change: Change, put: Callable[[], None]) -> None:
        """Replaces the service's files, and restarts or stops it."""
        service, own = f"{self.name}.service", unit_path(self.name)
        # Before its file is replaced: disable and stop act on the unit as it is loaded now.
        if systemd.look([self.name])[self.name].exists:
            if own in change.files and is_ours(change.files[own]) != is_ours(files.read(own)):
                systemd.run("systemctl", "disable", "--quiet", service)
            # A restart would stop ours as the original unit says: within its time, and with its ExecStop=, such as
            # `celery control shutdown`, which ends all workers of the broker.
            leaves = change.current is None and is_ours(files.read(own))
            if leaves or not change.run:
                units.stop(self.units, self.warn)
            if leaves:
                units.forget_state(self.name)
        put()
        if change.enabled:  # which needs no reload of its own
            systemd.run("systemctl", "enable", "--quiet", "--no-reload", service)
        systemd.run("systemctl", "daemon-reload")
        units.forget_failures(self.units)
        if change.run:
            units.restart(self.units, self.warn)

    def _remember(self, state: State, project: str | None = None) -> str:
        """Stores the state, and the project, by default ours. Returns why that failed, or an empty text."""
        owner = self.owner if project is None else replace(self.owner, project=project)
        try:
            store.remember(self.name, owner, state)
        except OSError as error:
            return f" But this could not be stored: {error}. Correct this, and run this again."
        return ""

    def _invocations(self) -> list[str]:
        """The IDs of the units' current runs; empty if systemd does not answer."""
        try:
            return [unit.invocation for unit in systemd.look(self.units).values()]
        except systemd.SystemdError:
            return [""]

    def _tidy(self) -> None:
        programs = Path(program_directory(self.name))
        if not any(programs.glob("*.py")):
            shutil.rmtree(programs, ignore_errors=True)  # only Python's bytecode is left there


def first_line(error: Exception) -> str:
    """The error without systemctl's advice to read the journal, as the journal follows anyway."""
    return str(error).split("\n", 1)[0].rstrip(".")
