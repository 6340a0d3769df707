# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The goals: which are met, which are not, and of which that can't be known, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .answer import Answer, Service
from .wanted import Wanted
from .words import DAY, HOUR, count, grouped, isolated, listed, names, size, span, when

MET, NOT_MET, UNKNOWN = "met", "not met", "can't know"
FEW_TASKS = 20  # of so few, a share says nothing
AS_BEFORE = 0.95  # of the busiest hour before


@dataclass(frozen=True)
class Goal:
    """name, measured, why: sentences or parts of one. since: the begin of what was measured; None if it isn't known."""

    name: str
    verdict: str
    measured: str
    since: float | None = None
    why: str = ""


def judge(answers: Mapping[str, Answer], silent: Iterable[str], wanted: Wanted, now: float) -> list[Goal]:
    """Each goal that is wanted. `silent` are hosts that did not answer: of them, nothing is known to be met."""
    if not answers:
        return []
    named = [(wanted.out_of_memory, out_of_memory), (wanted.memory, memory), (wanted.stuck_for, stuck_jobs),
             (wanted.throughput, throughput), (wanted.refusals_down, refused_calls)]  # fmt: skip
    found = [goal(answers, wanted, now) for is_wanted, goal in named if is_wanted]
    silence = f"{names(silent)} did not answer" if silent else ""
    return [_with_silence(goal, silence) if silence else goal for goal in found]


def _with_silence(goal: Goal, silence: str) -> Goal:
    verdict = UNKNOWN if goal.verdict == MET else goal.verdict
    return Goal(goal.name, verdict, goal.measured, goal.since, "; ".join(filter(None, [silence, goal.why])))


def out_of_memory(answers: Mapping[str, Answer], wanted: Wanted, now: float) -> Goal:
    name = f"No service runs out of memory in {wanted.days:g} days"
    kills, blind, before = [], [], 0
    since = max(map(_known_since, answers.values()))
    for host, service in _services(answers):
        begin, seen = service.ours_since or 0, service.kills_since_ours
        before += len(service.all_kills) - len(seen)
        kills += [(at, host, service.name) for at in seen]
        since = max(since, begin, service.kills_since or now)
        lost = service.after.lost - len(seen)
        if lost > 0:
            where = f"{isolated(service.name)} on {isolated(host)}"
            blind.append(f"{where} lost {count(lost, 'task')} to SIGKILL, perhaps the kernel's")
    why = "; ".join([*blind, *([f"{count(before, 'kill')} before the first deployment"] if before else [])])
    if kills:
        at, host, service = max(kills)
        last = f"the last {when(at, now)}: {isolated(service)} on {isolated(host)}"
        return Goal(name, NOT_MET, f"{count(len(kills), 'kill')}, {last}", since, why)
    if blind:
        return Goal(name, UNKNOWN, "none seen", since, why)
    if now - since < wanted.days * DAY - HOUR:
        full = f"{wanted.days:g} days are known from {when(since + wanted.days * DAY, now)} on"
        return Goal(name, UNKNOWN, f"none in the last {span(now - since)}", since, "; ".join(filter(None, [full, why])))
    return Goal(name, MET, "none", since, why)


def memory(answers: Mapping[str, Answer], wanted: Wanted, now: float) -> Goal:
    name = f"Memory in use stays below {size(wanted.memory)}"
    peaks = [(answer.peak_of(each), each.name, host) for host, answer in answers.items() for each in answer.services]
    most, service, host = max(peaks, default=(0, "", ""))
    largest = f"{isolated(service)} took at most {size(most)}, as far as known" if most else ""
    if most >= wanted.memory:
        return Goal(name, NOT_MET, f"{isolated(service)} on {isolated(host)} alone took {size(most)}")
    around = [host for host, answer in answers.items() if answer.machine.container]
    if around:
        are = "are containers" if len(around) > 1 else "is a container"
        why = f"{names(around)} {are}, which sees the memory of the machine around it"
        return Goal(name, UNKNOWN, largest or "not known", why=why)
    samples = [(each.used, each.at or each.t, host) for host, answer in answers.items() for each in answer.samples]
    present = [(answer.machine.memory.used, answer.time, host) for host, answer in answers.items()]
    since = min((sample.t for answer in answers.values() for sample in answer.samples), default=None)
    used, at, host = max(samples + present)
    if used >= wanted.memory:
        return Goal(name, NOT_MET, f"{size(used)} on {isolated(host)}, {when(at, now)}", since or at, largest)
    unsampled = [host for host, answer in answers.items() if not answer.samples]
    if unsampled:
        why = f"{names(unsampled)}: only the present is known. The role monitoring takes a sample each minute"
        return Goal(name, UNKNOWN, f"{size(used)} now", why=why)
    if not any(map(_worked, _all(answers))):
        return Goal(name, UNKNOWN, f"{size(used)} at most", since, "no task was done in that time")
    return Goal(name, MET, f"{size(used)} at most", since, largest)


def stuck_jobs(answers: Mapping[str, Answer], wanted: Wanted, now: float) -> Goal:
    name = f"No job is stuck for longer than {span(wanted.stuck_for)}"
    stuck = {host: answer.stuck for host, answer in answers.items()}
    total = sum(each.count for each in stuck.values())
    if total:
        return Goal(
            name,
            NOT_MET,
            f"{count(total, 'job')}, the oldest for {span(max(each.oldest for each in stuck.values()))}",
            now,
        )
    blind = [
        f"{isolated(host)}: {isolated(_first_sentence(each.why))}" for host, each in stuck.items() if not each.known
    ]
    if len(blind) == len(stuck):
        return Goal(name, UNKNOWN, "not counted", None, listed(blind, 2))
    if blind:
        return Goal(name, UNKNOWN, "none where they can be counted", now, listed(blind, 2))
    skipped = sum(each.skipped for each in stuck.values())
    return Goal(name, MET, "none", now, f"{count(skipped, 'row')} with a time that can't be read" if skipped else "")


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".…")


def throughput(answers: Mapping[str, Answer], wanted: Wanted, now: float) -> Goal:
    name, workers = "As many tasks an hour as before", _workers(answers)
    since = min((worker.after.since for worker in workers), default=None)
    after = sum(worker.after.busiest_hour for worker in workers)
    before = wanted.busiest_hour_before or sum(worker.before.busiest_hour for worker in workers if worker.before)
    if not after:
        started = sum(worker.started or 0 for worker in workers)
        if started:
            why = f"{count(started, 'task was', 'tasks were')} begun, but the log does not tell how they ended"
            return Goal(name, UNKNOWN, "not in the log", since, why)
        return Goal(name, UNKNOWN, "no task was done", since)
    measured = f"{count(after, 'task')} in the busiest hour"
    if not before:
        return Goal(name, UNKNOWN, measured, since, _NOTHING_BEFORE.format("busiest_hour_before"))
    measured += f", {grouped(round(before))} before"
    if after >= AS_BEFORE * before:
        return Goal(name, MET, measured, since)
    return Goal(name, UNKNOWN, measured, since, "fewer, perhaps because fewer were sent")


_NOTHING_BEFORE = "nothing to compare with: the journal has no full hour from before, and {} is not set"


def refused_calls(answers: Mapping[str, Answer], wanted: Wanted, now: float) -> Goal:
    name, workers = f"{wanted.refusals_down:g} % fewer refused calls (429) than before", _workers(answers)
    since = min((worker.after.since for worker in workers), default=None)
    done = sum(worker.after.succeeded + worker.after.failed for worker in workers)
    refused = sum(worker.after.refused for worker in workers)
    if not done:
        return Goal(name, UNKNOWN, "no task was done", since)
    measured, before = f"{grouped(refused)} in {count(done, 'task')}", _refusals_before(workers, wanted)
    if before is None:
        return Goal(name, UNKNOWN, measured, since, _NOTHING_BEFORE.format("refusals_before"))
    if not before:
        return Goal(
            name, UNKNOWN, measured, since, "none was logged before either: perhaps the application does not log them"
        )
    why = f"{grouped(round(before))} for each 1000 tasks before"
    suppressed = sum(answer.journal.suppressed for answer in answers.values())
    if suppressed:
        return Goal(name, UNKNOWN, measured, since, f"{why}; but journald left out {count(suppressed, 'message')}")
    if done < FEW_TASKS:
        return Goal(name, UNKNOWN, measured, since, f"{why}; too few tasks to tell")
    change = 100 * (1000 * refused / done / before - 1)
    is_met = change <= -wanted.refusals_down
    return Goal(name, MET if is_met else NOT_MET, f"{measured}: {change:+.0f} %".replace("-", "−"), since, why)


def _refusals_before(workers: list[Service], wanted: Wanted) -> float | None:
    """For each 1000 tasks."""
    if wanted.refusals_before is not None:
        return wanted.refusals_before
    before = [worker.before for worker in workers if worker.before]
    done = sum(each.succeeded + each.failed for each in before)
    return 1000 * sum(each.refused for each in before) / done if done else None


def _known_since(answer: Answer) -> float:
    """Since when the journal can speak of the window."""
    return max(answer.window[0], answer.journal.since or answer.time)


def _services(answers: Mapping[str, Answer]) -> Iterator[tuple[str, Service]]:
    return ((host, service) for host, answer in answers.items() for service in answer.services)


def _all(answers: Mapping[str, Answer]) -> list[Service]:
    return [service for _host, service in _services(answers)]


def _workers(answers: Mapping[str, Answer]) -> list[Service]:
    return [service for service in _all(answers) if service.kind == "worker"]


def _worked(service: Service) -> bool:
    return any(hour[0] for hour in service.hours)
