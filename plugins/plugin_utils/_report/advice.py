# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do, the most urgent first: a sentence, the command for it, and where the runbook tells more."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .answer import Answer, Service
from .words import count, for_journalctl, isolated, names, span

NOW, SOON, LATER = range(3)  # something stands still; something was lost or will be; a precaution
LOOK, STALE, STUCK = "1-look-first", "2-stop-stale-workers", "3-reset-stuck-jobs"  # anchors of docs/runbook.md
MANY_ENDS = 3
FULL = 0.9  # of a disk
MOST_STALE = 5  # processes that are named of each service
CLEAN_UP = "/usr/local/lib/evenkeel/cleanup_stuck_jobs.py --dry-run"


@dataclass(frozen=True, order=True)
class Advice:
    """command: for a shell on the host, in one line or several, or empty. anchor: of the runbook, or empty."""

    urgency: int
    host: str
    what: str
    command: str = ""
    anchor: str = ""


def advise(answers: Mapping[str, Answer], silent: Mapping[str, str]) -> list[Advice]:
    """silent: the hosts that did not answer, and why."""
    first = [Advice(NOW, host, f"No answer: {why}", "", LOOK) for host, why in silent.items()]
    found = [
        each for host, answer in answers.items() for each in (*_of_services(host, answer), *_of_host(host, answer))
    ]
    return first + sorted(found, key=lambda advice: advice.urgency)


def _of_services(host: str, answer: Answer) -> Iterator[Advice]:
    for service in answer.services:
        yield from _of_state(host, service)
        for process in (service.leftovers or [])[:MOST_STALE]:
            command = "ps -eo pid,ppid,user,unit:30,args | grep '[c]elery'"
            yield Advice(SOON, host, f"{isolated(service.name)}: {process}", command, STALE)
    loaded = [service for service in answer.services if service.state != "missing"]
    often = [service for service in loaded if len(service.ends_since_ours) >= MANY_ENDS and service.state != "failed"]
    if often:
        ends = sum(len(service.ends_since_ours) for service in often)
        units = " ".join(f"-u {shlex.quote(service.name)}" for service in often)
        what = f"{_named(often)} ended {ends} times without being asked to"
        yield Advice(SOON, host, what, f"journalctl {units} {_since(answer, often)}", LOOK)
    short = [service for service in loaded if service.kills_since_ours]
    if short:
        what = f"{_named(short)} ran out of memory. Raise memory_max, or run fewer processes or tasks at a time"
        yield Advice(SOON, host, what, f"journalctl -k {_since(answer, short)} | grep -i 'out of memory'", LOOK)
    unwatched = [service for service in loaded if not service.watchdog]
    if unwatched:
        yield Advice(LATER, host, f"Nobody notices when {_named(unwatched)} hangs. Set watchdog: 30s")
    unlimited = [service for service in loaded if service.memory.max is None]
    if unlimited:
        yield Advice(LATER, host, f"Nothing limits the memory of {_named(unlimited)}. Set memory_max")


def _since(answer: Answer, services: Sequence[Service]) -> str:
    """journalctl's option for the time in which their ends and kills are counted."""
    ours = min(service.ours_since or 0 for service in services)
    return f"--since '{for_journalctl(max(answer.window[0], ours))}'"


def _named(services: Sequence[Service]) -> str:
    return names(service.name for service in services)


def _of_state(host: str, service: Service) -> Iterator[Advice]:
    name, unit = isolated(service.name), shlex.quote(service.name)
    log = f"journalctl -u {unit} -n 50"
    if service.state == "missing":
        yield Advice(
            NOW, host, f"{name} has no unit on this host: the playbook has not run, or somebody removed it", "", LOOK
        )
    elif service.state == "failed":
        command = f"{log}\nsystemctl reset-failed {unit} && systemctl start {unit}   # once corrected"
        yield Advice(NOW, host, f"{name} is down: systemd has given it up. Its log says why", command, LOOK)
    elif service.state == "stopped":
        yield Advice(NOW, host, f"{name} is stopped", f"systemctl start {unit}", LOOK)
    elif service.state == "hung":
        yield Advice(
            NOW,
            host,
            f"{name} hangs. With a watchdog, systemd restarts it by itself",
            f"systemctl restart {unit}",
            LOOK,
        )
    elif service.state == "disconnected":
        yield Advice(NOW, host, f"{name} has lost its broker, and continues once the broker answers", log, LOOK)
    elif service.state == "running":
        yield Advice(SOON, host, f"{name} runs, but does not tell whether it works", f"systemctl status {unit}", LOOK)
    elif service.state == "unknown":
        yield Advice(SOON, host, f"systemd does not tell how {name} is", f"systemctl status {unit}", LOOK)


def _of_host(host: str, answer: Answer) -> Iterator[Advice]:
    if answer.stuck.count:
        what = f"{count(answer.stuck.count, 'job is', 'jobs are')} stuck, the oldest for {span(answer.stuck.oldest)}"
        yield Advice(SOON, host, what, CLEAN_UP, STUCK)
    for disk in answer.machine.disks:
        if disk.full > FULL:
            what = f"{isolated(disk.path)} is {disk.full:.0%} full"
            yield Advice(SOON, host, what, f"du -xh --max-depth=2 {shlex.quote(disk.path)} | sort -h | tail", LOOK)
    if answer.journal.suppressed:
        left_out = count(answer.journal.suppressed, "message")
        what = f"journald left out {left_out}, so the counts are too low. Set log_rate_limit"
        yield Advice(LATER, host, what, "", LOOK)
    if not answer.journal.persistent:
        yield Advice(
            LATER,
            host,
            "The journal is lost at a reboot, and with it the history",
            "mkdir /var/log/journal && systemctl restart systemd-journald",
        )
