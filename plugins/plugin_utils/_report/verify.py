# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks after a deployment, as the operators' documents have them: each is ok, not ok, or can't be known.

What happened before a service was first deployed by us does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .answer import Answer, Service
from .read import read
from .summary import CANT_KNOW, DOWN, FINE, UP, WRONG
from .wanted import Wanted
from .words import count, size, when

OK, NOT_OK, UNKNOWN = "ok", "not ok", "can't know"
ALMOST_ALL = 0.9  # of a machine's memory


@dataclass(frozen=True)
class Ping:
    """What celery_ping has found for a worker."""

    answers: bool | None = None
    why: str = ""
    children: int | None = None
    concurrency: int | None = None
    task_done: bool | None = None


@dataclass(frozen=True)
class Check:
    """where: a host, or a host and a service."""

    where: str
    what: str
    found: str
    verdict: str


def verify(
    answers: Mapping[str, Answer],
    silent: Mapping[str, str],
    pings: Mapping[str, Mapping[str, Ping]],
    wanted: Wanted,
    task: str = "",
) -> list[Check]:
    """pings: by host and service. task: the one that was sent, or empty."""
    found = [Check(host, "it answers", why, UNKNOWN) for host, why in silent.items()]
    for host, answer in answers.items():
        for service in answer.services:
            where = f"{host}: {service.name}"
            found += [Check(where, *each) for each in _service(service, answer, pings.get(host, {}), task)]
        found += [Check(host, *each) for each in _host(answer, wanted, host not in wanted.without_swap)]
    return found


def judged(checks: list[Check]) -> tuple[str, str]:
    """The verdict on all of them, and it in a sentence."""
    bad, unknown = (sum(check.verdict == verdict for check in checks) for verdict in (NOT_OK, UNKNOWN))
    if not bad and not unknown:
        return FINE, f"All {len(checks)} checks are ok."
    failed = (
        f"{bad} of {count(len(checks), 'check')} {'is' if bad == 1 else 'are'} not ok" if bad else "No check failed"
    )
    more = f", {unknown} can't be known" if unknown else ""
    return WRONG if bad else CANT_KNOW, f"{failed}{more}."


def pings_of(results: Mapping[str, Any]) -> dict[str, dict[str, Ping]]:
    """The results of celery_ping, by host. One that can't be read counts as none."""
    found = {}
    for host, result in results.items():
        try:
            found[host] = read(dict[str, Ping], result["pings"])
        except (ValueError, KeyError, TypeError):
            found[host] = {}
    return found


def rows(checks: list[Check]) -> list[tuple[str, ...]]:
    """For a table, with its head."""
    return [
        ("verdict", "check", "found", "where"),
        *((each.verdict, each.what, each.found, each.where) for each in checks),
    ]


def _service(service: Service, answer: Answer, pings: Mapping[str, Ping], task: str) -> Iterator[tuple[str, str, str]]:
    verdict = OK if service.state in {*UP, "running"} else NOT_OK if service.state in DOWN else UNKNOWN
    yield "it runs", f"{service.state}, since {when(service.since, answer.time)}", verdict
    if service.kind == "worker":
        yield from _pinged(pings.get(service.name, Ping(why="it was not asked")), task)
        yield _log(service, answer)
        refused = service.refused_since_ours(answer.window[0])
        yield "no refused calls (429)", _number(refused, "call"), _is(None if refused is None else not refused)
    kills = len(service.kills_since_ours)
    yield "not out of memory", _number(kills, "kill"), _is(not kills)
    stale = service.leftovers
    yield (
        "no stale processes",
        _number(None if stale is None else len(stale), "process", "processes"),
        _is(None if stale is None else not stale),
    )


def _pinged(ping: Ping, task: str) -> Iterator[tuple[str, str, str]]:
    yield "it answers (inspect ping)", ping.why or "pong", _is(ping.answers)
    if ping.children is not None and ping.concurrency is not None:
        expected = f"{count(ping.children, 'child', 'children')} of {ping.concurrency}, and the main process"
        yield "its number of processes", expected, _is(ping.children == ping.concurrency)
    if task:
        said = {True: f"{task} succeeded", False: f"{task} could not be sent"}
        yield (
            "it executes tasks",
            said.get(ping.task_done, f"{task} has not been seen to end here"),
            _is(ping.task_done),
        )


def _log(service: Service, answer: Answer) -> tuple[str, str, str]:
    last = max((task.last for task in service.tasks.values() if task.last), default=None)
    if last is None:
        return "its log shows tasks", "none that succeeded", UNKNOWN
    if last < (service.ours_since or 0):
        return "its log shows tasks", f"the last succeeded {when(last, answer.time)}, before the deployment", UNKNOWN
    return "its log shows tasks", f"the last succeeded {when(last, answer.time)}", OK


def _host(answer: Answer, wanted: Wanted, needs_swap: bool) -> Iterator[tuple[str, str, str]]:
    memory = answer.machine.memory
    limit = wanted.memory or ALMOST_ALL * memory.total
    used = f"{size(memory.used)} of {size(memory.total)}"
    if answer.machine.container:
        yield "memory", f"{used}, of the machine around this container", UNKNOWN
    else:
        yield "memory", used, _is(memory.used < limit)
    if memory.swap_total or needs_swap:
        yield "swap", size(memory.swap_total) if memory.swap_total else "none", _is(bool(memory.swap_total))
    stuck = answer.stuck
    yield (
        "no stuck jobs",
        _number(stuck.count, "job") if stuck.known else stuck.why,
        (NOT_OK if stuck.count else _is(stuck.known or None)),
    )


def _number(number: int | None, word: str, words: str = "") -> str:
    return "not in the log" if number is None else count(number, word, words) if number else "none"


def _is(good: bool | None) -> str:
    return UNKNOWN if good is None else OK if good else NOT_OK
