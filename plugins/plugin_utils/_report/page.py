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
from .answer import FAILED, HOUR, REFUSED, RETRIED, SUCCEEDED, Answer, Event, Service
from .charts import gauge, memory_curve, spark, tasks_by_hour
from .goals import MET, NOT_MET, UNKNOWN, Goal
from .html import Markup, element, name
from .summary import CANT_KNOW, DOWN, FINE, UP, WRONG, Summary
from .words import HOUR as AN_HOUR
from .words import count, grouped, isolated, moment, names, size, span, when

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
COLOURS = {FINE: "good", WRONG: "bad", CANT_KNOW: "open", MET: "good", NOT_MET: "bad", UNKNOWN: "open"}
SIGNS = {MET: "✓", NOT_MET: "✗", UNKNOWN: "?"}
FEW = 6  # services, or kinds of tasks, that are shown unfolded
MOST_ENDS = 8  # rows of ends of a service
MOST_TASKS = 20


def page(summary: Summary, runbook: str, memory_goal: int) -> str:
    """runbook: the address of the runbook's page. memory_goal: bytes; 0 for none."""
    hosts = [*summary.silent, *summary.answers]
    title = f"Celery services on {names(hosts)}" if len(hosts) < FEW else f"Celery services on {len(hosts)} hosts"
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{summary.sentence} {title}"),
        element("style", Markup(STYLE)),
    )
    body = element(
        "body",
        element("h1", title),
        element(
            "p", f"{moment(summary.now)} · the last {summary.days:g} days · all times in UTC", class_="quiet small"
        ),
        element("p", summary.sentence, class_=f"verdict {COLOURS[summary.verdict]}"),
        _to_do(summary, runbook),
        _goals(summary),
        _services(summary),
        [_host(host, answer, summary, memory_goal) for host, answer in summary.answers.items()],
        _sources(summary),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _to_do(summary: Summary, runbook: str) -> Iterator[Markup]:
    if summary.advice:
        yield element("h2", "What to do")
        yield element("ol", [_advice(advice, runbook) for advice in summary.advice], class_="todo")


def _advice(advice: Advice, runbook: str) -> Markup:
    link = element("a", "runbook", href=f"{runbook}#{advice.anchor}", rel="noreferrer") if advice.anchor else None
    command = element("code", advice.command, class_="command") if advice.command else None
    return element(
        "li", element("strong", name(advice.host)), ": ", advice.what, [" ", link] if link else None, command
    )


def _goals(summary: Summary) -> Iterator[Markup]:
    if summary.goals:
        rows = [_goal(goal, summary.now) for goal in summary.goals]
        yield element("h2", "Goals")
        yield _table(["Goal", "Verdict", "Measured", "Since"], rows, "goals")


def _goal(goal: Goal, now: float) -> Markup:
    since = "now" if goal.since == now else when(goal.since, now)
    why = element("span", goal.why, class_="why quiet small") if goal.why else None
    return element(
        "tr",
        element("td", element("strong", goal.name), class_="first"),
        element("td", _chip(f"{SIGNS[goal.verdict]} {goal.verdict}", COLOURS[goal.verdict])),
        element("td", element("div", goal.measured, why, class_="cell"), data_label="measured"),
        element("td", since, class_="still", data_label="since"),
    )


def _services(summary: Summary) -> Iterator[Markup]:
    rows = [_row(host, service, summary) for host, answer in summary.answers.items() for service in answer.services]
    if rows:
        columns = ["Service", "State", "Memory", "Tasks by hour", ">done", ">failed", ">refused", ">ended"]
        yield element("h2", "Services")
        yield _table(columns, rows, "services")


def _row(host: str, service: Service, summary: Summary) -> Markup:
    where = [element("span", name(host), class_="quiet small"), " "] if len(summary.answers) > 1 else None
    totals = ((SUCCEEDED, "done"), (FAILED, "failed"), (REFUSED, "refused"))
    is_worker = service.kind == "worker"
    numbers = [(grouped(service.total(column)) if is_worker else "–", label) for column, label in totals]
    return element(
        "tr",
        element("td", element("a", where, name(service.name), href=f"#{_anchor(host, service)}")),
        element("td", _state(service)),
        element("td", _memory(service), data_label="memory"),
        element("td", spark(service.hours) if service.total(SUCCEEDED) else "–", data_label="tasks by hour"),
        [element("td", value, class_="number", data_label=label) for value, label in numbers],
        element("td", f"{len(service.ends)} ×" if service.ends else "never", class_="number", data_label="ended"),
    )


def _memory(service: Service) -> object:
    used = service.memory
    if used.working is None:
        return "–"
    of = f" of {size(used.max)}" if used.max else ", no limit"
    return element("div", gauge(used, service.peak), element("span", size(used.working), of, class_="quiet small"))


def _host(host: str, answer: Answer, summary: Summary, memory_goal: int) -> Iterator[Markup]:
    machine = answer.machine
    yield element("h2", name(host))
    swap = (
        f"{size(machine.memory.swap_used)} of {size(machine.memory.swap_total)}"
        if machine.memory.swap_total
        else "none"
    )
    yield _facts(
        ("memory", f"{size(machine.memory.used)} of {size(machine.memory.total)}"),
        ("swap", swap),
        *((f"disk {disk.path}", f"{_full(disk.free, disk.total)}, {size(disk.free)} free") for disk in machine.disks),
        ("up", span(answer.time - machine.booted)),
    )
    series = [(sample.at or sample.t, sample.used) for sample in answer.samples]
    if len(series) > 1:
        caption = [
            "Memory in use, the whole machine",
            _key("limit", f"the goal, {size(memory_goal)}") if memory_goal else None,
        ]
        chart = memory_curve(series, answer.window, memory_goal, answer.time, "Memory in use, the whole machine")
        yield _figure(caption, chart)
    few = sum(len(each.services) for each in summary.answers.values()) <= FEW
    yield from (_card(host, service, answer, few) for service in answer.services)


def _full(free: int, total: int) -> str:
    return f"{100 - 100 * free / total:.0f} % full" if total else "of no size"


def _card(host: str, service: Service, answer: Answer, is_open: bool) -> Markup:
    now = answer.time
    is_open = is_open or _colour(service) != "good" or bool(service.ends)
    title = element(
        "summary",
        element("h3", name(service.name)),
        _state(service),
        element("span", f"{service.kind}, since {when(service.since, now)}", class_="quiet small"),
    )
    content = element(
        "div",
        _facts(*_facts_of(service)),
        element("p", name(service.status), class_="quiet small")
        if service.status and not service.status.startswith("ready")
        else None,
        _tasks_chart(service, answer),
        _memory_chart(service, answer),
        _ends(service, now),
        _tasks(service, now),
        id=_anchor(host, service),
    )
    return element("details", title, content, class_="card", open="" if is_open else None)


def _facts_of(service: Service) -> Iterator[tuple[str, str]]:
    used = service.memory
    if service.running is not None and service.state == "ready":
        yield (
            "active tasks",
            grouped(service.running)
            + (
                f", {grouped(service.taken - service.running)} more taken"
                if (service.taken or 0) > service.running
                else ""
            ),
        )
    if used.working is not None:
        yield (
            "memory",
            f"{size(used.working)}, peak {size(service.peak)}"
            + (f", limit {size(used.max)}" if used.max else ", no limit"),
        )
    if used.swap:
        yield "in swap", size(used.swap)
    if service.kind == "worker":
        totals = ((SUCCEEDED, "done"), (FAILED, "failed"), (RETRIED, "retried"), (REFUSED, "refused (429)"))
        yield (
            "tasks",
            ", ".join(
                f"{grouped(service.total(column))} {word}"
                for column, word in totals
                if column < FAILED + 1 or service.total(column)
            ),
        )
    yield "ended unexpectedly", f"{len(service.ends)} ×" if service.ends else "never"
    yield "watchdog", service.watchdog or "none"


def _tasks_chart(service: Service, answer: Answer) -> Markup | None:
    if not service.ends and not any(map(any, service.hours)):
        return None
    totals = [service.total(column) for column in (SUCCEEDED, FAILED, RETRIED, REFUSED)]
    most = max((hour[SUCCEEDED] + hour[FAILED] for hour in service.hours), default=0)
    known = max(answer.window[0], service.journal_since or answer.window[1])
    ours = service.ours_since
    caption = [
        f"Tasks by hour, at most {grouped(most)}",
        _key("done", "done"),
        _key("failed", "failed") if totals[FAILED] else None,
        _key("refused", "refused (429), below the line") if totals[REFUSED] else None,
        _key("blank", "before the journal begins") if known > answer.window[0] + HOUR else None,
        _key("end", "ended unexpectedly") if service.ends else None,
        _key("ours", f"deployed by this collection: {when(ours, answer.time)}")
        if ours and ours > answer.window[0] + HOUR
        else None,
    ]
    return _figure(caption, tasks_by_hour(service.hours, service.ends, answer.window, known, ours))


def _memory_chart(service: Service, answer: Answer) -> Markup | None:
    values = ((sample.t, sample.services.get(service.name, [None])) for sample in answer.samples)
    series = [(at, value[0]) for at, value in values if value and value[0] is not None]
    if len(series) < 2:
        return None
    limit = service.memory.max
    caption = ["Its memory", _key("limit", f"its limit, {size(limit)}") if limit else None]
    return _figure(caption, memory_curve(series, answer.window, limit, answer.time, f"Memory of {service.name}"))


def _ends(service: Service, now: float) -> Iterator[Markup]:
    groups = _grouped(service.ends)
    rows = [
        element(
            "tr",
            element(
                "td",
                when(last, now) if last - first < 60 else f"{when(first, now)} – {when(last, now)}",
                class_="still",
            ),
            element("td", element("strong", f"{number} × " if number > 1 else None, name(reason))),
            element("td", element("div", name(said), class_="cell")),
        )
        for first, last, number, reason, said in groups[: -MOST_ENDS - 1 : -1]
    ]
    if rows:
        yield _table(["Ended", "Why", "Details"], rows, "ends")
    if len(groups) > MOST_ENDS:
        yield element("p", f"and {len(groups) - MOST_ENDS} times before", class_="quiet small")


def _grouped(ends: list[Event]) -> list[tuple[float, float, int, str, str]]:
    """A crash loop is one row: ends for the same reason, each within an hour of the one before."""
    groups: list[tuple[float, float, int, str, str]] = []
    for end in ends:
        if groups and groups[-1][3:] == (end.reason, end.said) and end.t - groups[-1][1] < AN_HOUR:
            first, _last, number, *why = groups.pop()
            groups.append((first, end.t, number + 1, *why))
        else:
            groups.append((end.t, end.t, 1, end.reason, end.said))
    return groups


def _tasks(service: Service, now: float) -> Iterator[Markup]:
    if not service.tasks:
        return
    ordered = sorted(service.tasks.items(), key=lambda item: (-item[1].succeeded, item[0]))
    rows = [
        element(
            "tr",
            element("td", element("code", name(task))),
            element("td", grouped(each.succeeded), class_="number", data_label="done"),
            element("td", grouped(each.failed), class_="number", data_label="failed"),
            element("td", grouped(each.retried), class_="number", data_label="retried"),
            element(
                "td",
                span(each.seconds / each.succeeded) if each.succeeded else "–",
                class_="number",
                data_label="on average",
            ),
            element("td", span(each.longest) if each.succeeded else "–", class_="number", data_label="longest"),
            element("td", when(each.last, now), class_="still", data_label="last done"),
        )
        for task, each in ordered[:MOST_TASKS]
    ]
    columns = ["Task", ">done", ">failed", ">retried", ">on average", ">longest", "last done"]
    yield _table(columns, rows, "tasks")
    if len(ordered) > MOST_TASKS:
        yield element("p", f"and {len(ordered) - MOST_TASKS} other kinds of tasks", class_="quiet small")


def _sources(summary: Summary) -> Iterator[Markup]:
    yield element("h2", "How this was found out")
    for host, answer in summary.answers.items():
        journal, groups = answer.journal, {service.memory.cgroup for service in answer.services} - {None}
        said = [
            f"{answer.system.os}, systemd {answer.system.systemd}",
            f"cgroup v{max(groups)}" if groups else None,
            f"the journal begins {when(journal.since, answer.time)}"
            + ("" if journal.persistent else " and is lost at a reboot"),
            "it has the kernel's messages" if journal.kernel else "it does not have the kernel's messages",
            f"{count(sum(sample.n for sample in answer.samples), 'sample')} of memory",
        ]
        yield element(
            "p", element("strong", name(host)), ": ", isolated("; ".join(filter(None, said))), ".", class_="quiet small"
        )
    yield element(
        "p",
        "Ends and restarts are systemd's messages in the journal; tasks and refusals are lines of the workers' logs;"
        " memory is the kernel's count for the unit; stuck jobs are a dry run of cleanup_stuck_jobs.py. Nothing was"
        " changed.",
        class_="quiet small",
    )


def _colour(service: Service) -> str:
    if service.state in DOWN:
        return "bad"
    return "good" if service.state in UP else "open"


def _state(service: Service) -> Markup:
    return _chip(service.state, _colour(service))


def _chip(text: str, colour: str) -> Markup:
    return element("span", text, class_=f"chip {colour}")


def _anchor(host: str, service: Service) -> str:
    """Without what an address would have to encode."""
    return "".join(letter if letter.isalnum() else "-" for letter in f"{host}-{service.name}")


def _facts(*facts: tuple[str, str]) -> Markup:
    return element(
        "dl",
        [element("div", element("dt", name(term)), element("dd", name(text))) for term, text in facts],
        class_="facts",
    )


def _key(kind: str, text: str) -> list[object]:
    return [" · ", element("span", text, class_=f"key {kind}")]


def _figure(caption: list[object], chart: Markup) -> Markup:
    return element("figure", element("figcaption", caption), chart)


def _table(columns: list[str], rows: list[Markup], kind: str) -> Markup:
    """A column that begins with > has numbers."""
    heads = [
        element("th", column.lstrip(">"), scope="col", class_="number" if column.startswith(">") else None)
        for column in columns
    ]
    return element("table", element("thead", element("tr", heads)), element("tbody", rows), class_=kind)
