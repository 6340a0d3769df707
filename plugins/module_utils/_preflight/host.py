# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What on this host would keep services from running. Changes nothing."""

from __future__ import annotations

import grp
import pwd
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .._celery.memory import NOTHING_KNOWN, Footprint, memory_errors, memory_warnings
from .._celery.options import Instance
from .._common import files, systemd
from .._common.paths import MARKER
from .._doctor.findings import HINT
from .._targets.deployed import has_beat
from .._targets.stale_workers import handling
from .._targets.systemd_unit import unit
from . import (
    checked,
    code_state,
    commands,
    databases,
    effects,
    log_rotation,
    probe,
    schedule,
    time_limits,
    traps,
    writable_paths,
)

_LONGEST_UNIT = 2**20  # bytes


@dataclass
class Findings:
    """What was found. Each sentence begins with the service's name."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)  # what is in order
    schedule: list[str] = field(default_factory=list)  # what beats will send
    # Seconds of the longest hard time limit that only the application sets, by the names of the workers.
    time_limits: dict[str, int] = field(default_factory=dict)


def look(
    instances: list[Instance],
    consumed: Collection[str] = (),
    together_with: Collection[str] = (),
    ignored: Collection[str] = (),
) -> Findings:
    """What is wrong and what is right with these services on this host.

    consumed: the queues that workers consume from, if they are known.
    together_with: the names of the play's services of other kinds.
    ignored: the doctor's rules that are not to be said.
    """
    findings = Findings()
    if not Path("/run/systemd/system").is_dir():
        findings.errors.append("systemd is not running on this host. evenkeel.celery needs systemd as its init system.")
        return findings
    units = systemd.look(instance["name"] for instance in instances)
    complaints = systemd.verify({instance["name"]: unit(instance) for instance in instances})
    unknown = {instance["name"]: list(user_errors(instance)) for instance in instances}
    usable = [instance for instance in instances if not unknown[instance["name"]]]
    answers, idle = probe.ask_each(usable), effects.without_effect(usable)
    for instance in instances:
        unit_there = units[instance["name"]]
        wrong, doubtful = list(_unit_errors(unit_there)), list(_unit_warnings(unit_there))
        answer = answers.get(instance["name"])
        if answer is not None:
            footprint = Footprint(*answer.get("footprint", NOTHING_KNOWN))
            wrong += [*_sandbox_errors(instance), *writable_paths.errors(instance, answer)]
            if instance["name"] in complaints and "executable" not in answer:
                about = complaints[instance["name"]]
                wrong.append(f"systemd rejects its unit. Correct the option that it names:\n{about}")
            wrong += [*probe.errors(instance, answer), *memory_errors(instance, footprint)]
            doubtful += [*probe.warnings(instance, answer), *memory_warnings(instance, footprint)]
            (wrong if instance["unenforced"] == "fail" else doubtful).extend(idle[instance["name"]])
            if not together_with:
                doubtful += _embedded_beat_warnings(unit_there)
            wrong += schedule.errors(instance, answer)
            doubtful += schedule.warnings(answer, consumed)
            wrong += databases.errors(instance, answer)
            doubtful += databases.warnings(instance, answer)
            if "time_limits" in answer:
                findings.time_limits[instance["name"]] = time_limits.of_application(instance, answer)
                doubtful += time_limits.warnings(instance, answer)
            # Without the name, as several services may share one.
            findings.warnings += writable_paths.warnings(instance, answer)
            findings.checked += [f"{instance['name']}: {line}" for line in checked.lines(instance, answer)]
            findings.schedule += [f"{instance['name']}: {line}" for line in schedule.lines(answer)]
        findings.errors += [f"{instance['name']}: {error}" for error in [*wrong, *unknown[instance["name"]]]]
        findings.warnings += [f"{instance['name']}: {warning}" for warning in doubtful]
    found = traps.findings(traps.services(instances, answers), ignored)
    findings.warnings += [each.sentence for each in found if each.severity != HINT]
    _code, wrong = code_state.look(usable)
    findings.errors += wrong
    if not findings.errors:
        findings.errors += [f"{name}: {error}" for name, error in commands.errors(instances).items()]
    findings.warnings += [*_clock_warnings(instances), *log_rotation.warnings(instances)]
    return findings


def _clock_warnings(instances: list[Instance]) -> Iterator[str]:
    beats = [instance["name"] for instance in instances if instance["kind"] == "beat"]
    if beats and not systemd.clock_is_synchronized():
        yield (
            f"{', '.join(beats)}: the host's clock is not synchronized, so tasks may be sent at the wrong time. Install"
            " and start a time service, such as systemd-timesyncd."
        )


def _unit_warnings(there: systemd.Unit) -> Iterator[str]:
    for drop_in in there.drop_ins:
        yield f"{drop_in} overrides parts of this unit and stays in place. Remove it if that is not wanted."


def _embedded_beat_warnings(there: systemd.Unit) -> Iterator[str]:
    text = _text(there)
    if MARKER not in text and has_beat(text):
        yield (
            f"{there.fragment} runs a beat within this worker (-B), and the new unit does not. Add a beat to"
            " celery_beat_instances, or nothing of the schedule is sent any more."
        )


def _text(there: systemd.Unit) -> str:
    """The unit file's text, in which each directive is one line; empty if there is none that can be read."""
    try:
        return files.read_start(there.fragment, _LONGEST_UNIT).decode(errors="replace").replace("\\\n", " ")
    except OSError:
        return ""


def _unit_errors(there: systemd.Unit) -> Iterator[str]:
    if there.load_state == "masked":
        yield "name: this unit is masked. Unmask it (systemctl unmask), or choose another name."
    elif there.fragment:
        text = _text(there)
        if text and MARKER not in text and not re.search("^ExecStart=.*celery", text, re.MULTILINE | re.IGNORECASE):
            yield f"name: {there.fragment} is not a unit of Celery. Choose another name."


def user_errors(instance: Instance) -> Iterator[str]:
    for user in [instance["user"], *handling(instance)[1]]:
        try:
            pwd.getpwnam(user)
        except KeyError:
            yield f"user {user!r} does not exist on this host. Create it first, or name another."
    if instance["group"]:
        try:
            grp.getgrnam(instance["group"])
        except KeyError:
            yield f"group {instance['group']!r} does not exist on this host. Create it first, or name another."


def _sandbox_errors(instance: Instance) -> Iterator[str]:
    off = [directive for directive, value in instance["sandbox"].items() if value is False]
    for directive in systemd.unknown(off):
        yield f"sandbox: systemd does not know the directive {directive!r}. Correct its spelling, or remove it."
