# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one page of HTML: it needs no other file, runs no script and loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

from .advice import Advice
from .answer import FAILED, REFUSED, SUCCEEDED, Answer, Service
from .cards import card
from .charts import gauge, memory_curve, spark
from .goals import MET, NOT_MET, UNKNOWN, Goal
from .html import Markup, element, name
from .parts import BAD, GOOD, OPEN, anchor, cell, chip, colour, facts, figure, key, number, quiet, state, table, times
from .summary import CANT_KNOW, FINE, SIGNS, WRONG, Summary
from .words import count, grouped, isolated, moment, names, size, span, when

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
COLOURS = {FINE: GOOD, WRONG: BAD, CANT_KNOW: OPEN, MET: GOOD, NOT_MET: BAD, UNKNOWN: OPEN}
ORDER = (BAD, OPEN, GOOD)  # of services
FEW = 6  # hosts that the title names, services that are shown unfolded


def page(summary: Summary, runbook: str, memory_goal: int) -> str:
    """runbook: the address of the runbook. memory_goal: bytes; 0 for none."""
    hosts = [*summary.silent, *summary.answers]
    title = f"Celery services on {names(hosts) if len(hosts) < FEW else f'{len(hosts)} hosts'}"
    body = element(
        "body",
        element("h1", title),
        quiet(f"{moment(summary.now)} · the last {summary.days:g} days · all times in UTC"),
        element("p", summary.sentence, class_=f"verdict {COLOURS[summary.verdict]}", role="status"),
        _to_do(summary, runbook),
        _goals(summary),
        _services(summary),
        [_host(host, answer, summary, memory_goal) for host, answer in summary.answers.items()],
        _sources(summary),
    )
    return f"<!doctype html>\n{element('html', _head(f'{summary.sentence} {title}'), body, lang='en')}\n"


def _head(title: str) -> Markup:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(STYLE)),
    )


def _to_do(summary: Summary, runbook: str) -> Iterator[Markup]:
    if summary.advice:
        yield element("h2", "What to do")
        yield element("ol", [_advice(advice, runbook) for advice in summary.advice], class_="todo")


def _advice(advice: Advice, runbook: str) -> Markup:
    link = (
        [" ", element("a", "runbook", href=f"{runbook}#{advice.anchor}", rel="noreferrer")] if advice.anchor else None
    )
    command = element("code", advice.command, class_="command") if advice.command else None
    return element("li", element("strong", name(advice.host)), ": ", advice.what, ".", link, command)


def _goals(summary: Summary) -> Iterator[Markup]:
    if summary.goals:
        yield element("h2", "Goals")
        rows = [_goal(goal, summary.now) for goal in summary.goals]
        yield table("goals", ["Goal", "Verdict", "Measured", "Since"], rows)


def _goal(goal: Goal, now: float) -> Markup:
    since = "now" if goal.since == now else when(goal.since, now)
    return element(
        "tr",
        element("td", element("strong", goal.name), class_="first"),
        element("td", chip(f"{SIGNS[goal.verdict]} {goal.verdict}", COLOURS[goal.verdict])),
        cell(goal.measured, quiet(goal.why) if goal.why else None, label="measured"),
        element("td", since, class_="still", data_label="since"),
    )


def _services(summary: Summary) -> Iterator[Markup]:
    services = [(host, service) for host, answer in summary.answers.items() for service in answer.services]
    services.sort(key=lambda each: ORDER.index(colour(each[1])))
    if services:
        columns = ["Service", "State", "Memory", "Tasks", ">done", ">failed", ">refused calls", ">ended"]
        several = len(summary.answers) > 1
        yield element("h2", "Services")
        yield table("services", columns, [_row(host, service, several) for host, service in services])


def _row(host: str, service: Service, several: bool) -> Markup:
    where = [element("span", name(host), class_="quiet small"), " "] if several else None
    totals = ((SUCCEEDED, "done"), (FAILED, "failed"), (REFUSED, "refused calls"))
    return element(
        "tr",
        element("td", element("a", where, name(service.name), href=f"#{anchor(host, service)}")),
        element("td", state(service)),
        element("td", _memory(service), data_label="memory"),
        element("td", spark(service.hours) if service.total(SUCCEEDED) else "–", data_label="tasks"),
        [number(grouped(service.total(column)), label) for column, label in totals],
        number(times(len(service.ends)), "ended"),
    )


def _memory(service: Service) -> object:
    used = service.memory
    if used.working is None:
        return "–"
    if not used.max:
        return [size(used.working), element("span", ", no limit", class_="quiet small")]
    text = element("span", f"{size(used.working)} of {size(used.max)}", class_="quiet small still")
    return element("div", gauge(used, service.peak), text)


def _host(host: str, answer: Answer, summary: Summary, memory_goal: int) -> Iterator[Markup]:
    memory = answer.machine.memory
    yield element("h2", name(host))
    yield facts(
        ("memory", f"{size(memory.used)} of {size(memory.total)}"),
        ("swap", f"{size(memory.swap_used)} of {size(memory.swap_total)}" if memory.swap_total else "none"),
        *((f"disk {disk.path}", f"{disk.full:.0%} full, {size(disk.free)} free") for disk in answer.machine.disks),
        ("up", span(max(0, answer.time - answer.machine.booted))),
    )
    series = [(sample.at or sample.t, sample.used) for sample in answer.samples]
    if len(series) > 1:
        called = "Memory in use, the whole machine"
        chart = memory_curve(series, answer.window, memory_goal, answer.time, called)
        yield figure([called, key("limit", f"the goal, {size(memory_goal)}") if memory_goal else None], chart)
    few = sum(len(each.services) for each in summary.answers.values()) <= FEW
    yield from (card(host, service, answer, few) for service in answer.services)


def _sources(summary: Summary) -> Iterator[Markup]:
    yield element("h2", "How this was found out")
    for host, answer in summary.answers.items():
        yield quiet(element("strong", name(host)), ": ", isolated("; ".join(_source(answer))), ".")
    yield quiet(
        "Ends and restarts are systemd's messages in the journal; tasks and refused calls are lines of the workers'"
        " logs; memory is the kernel's count for the unit; stuck jobs are a dry run of cleanup_stuck_jobs.py. Nothing"
        " was changed."
    )


def _source(answer: Answer) -> Iterator[str]:
    journal, groups = answer.journal, {service.memory.cgroup for service in answer.services} - {None}
    yield f"{answer.system.os}, systemd {answer.system.systemd}"
    if groups:
        yield f"cgroup v{max(groups)}"
    kept = "is kept" if journal.persistent else "is lost"
    yield f"the journal begins {when(journal.since, answer.time)}, and {kept} at a reboot"
    yield f"it has {'the' if journal.kernel else 'none of the'} kernel's messages"
    if not journal.complete:
        yield "not all of it could be read in the time that a report may take"
    yield f"{count(sum(sample.n for sample in answer.samples), 'sample')} of memory"
