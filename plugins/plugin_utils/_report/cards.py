# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's card on the page: what it uses and does, its past as charts, why it ended, and its tasks."""

from __future__ import annotations

from collections.abc import Iterator

from .answer import FAILED, REFUSED, RETRIED, SUCCEEDED, Answer, Event, Service
from .charts import memory_curve, tasks_by_hour
from .html import Markup, element, name
from .parts import GOOD, anchor, cell, colour, facts, figure, key, number, quiet, state, table, times
from .words import HOUR, grouped, size, span, when

MOST_ENDS = 8  # rows of ends
MOST_TASKS = 20  # rows of tasks
PLAIN = ("ready", "waiting, ", "ticking")  # beginnings of a status that says nothing more


def card(host: str, service: Service, answer: Answer, is_open: bool) -> Markup:
    """is_open: whether it is unfolded although nothing is wrong with it."""
    title = element(
        "summary",
        element("h3", name(service.name)),
        state(service),
        element("span", f"{service.kind}, since {when(service.since, answer.time)}", class_="quiet small"),
    )
    content = element(
        "div",
        facts(*_facts(service)),
        None if service.status.startswith(PLAIN) or not service.status else quiet(name(service.status)),
        _tasks_chart(service, answer),
        _memory_chart(service, answer),
        _ends(service, answer.time),
        _tasks(service, answer.time),
        id=anchor(host, service),
    )
    is_open = is_open or colour(service) != GOOD or bool(service.ends_since_ours)
    return element("details", title, content, class_="card", open="" if is_open else None)


def _facts(service: Service) -> Iterator[tuple[str, str]]:
    used = service.memory
    if service.running is not None:
        yield "active tasks", grouped(service.running)
    if used.working is not None:
        limit = f"limit {size(used.max)}" if used.max else "no limit"
        yield "memory", f"{size(used.working)}, peak {size(service.peak)}, {limit}"
    if used.swap:
        yield "in swap", size(used.swap)
    if service.kind == "worker":
        done, failed = service.total(SUCCEEDED), service.total(FAILED)
        known = done is not None or failed is not None
        yield "tasks", f"{grouped(done)} done, {grouped(failed)} failed" if known else "not in the log"
        for column, word in ((RETRIED, "retried"), (REFUSED, "refused calls (429)")):
            if service.total(column):
                yield word, grouped(service.total(column))
    yield "ended unexpectedly", times(len(service.ends))
    yield "watchdog", service.watchdog or "none"


def _tasks_chart(service: Service, answer: Answer) -> Markup | None:
    if not service.ends and not any(map(any, service.hours)):
        return None
    first, last = answer.window
    known, ours = max(first, service.journal_since or last), service.ours_since
    most = max((hour[SUCCEEDED] + hour[FAILED] for hour in service.hours), default=0)
    caption = [
        f"Tasks by hour, at most {grouped(most)}",
        key("done", "done"),
        key("failed", "failed") if service.total(FAILED) else None,
        key("refused", "refused calls (429), below the line") if service.total(REFUSED) else None,
        key("blank", "before the journal begins") if known > first + HOUR else None,
        key("end", "ended unexpectedly") if service.ends else None,
        key("ours", f"first deployed by us, {when(ours, answer.time)}") if ours and ours > first + HOUR else None,
    ]
    return figure(caption, tasks_by_hour(service.hours, service.ends, answer.window, known, ours))


def _memory_chart(service: Service, answer: Answer) -> Markup | None:
    values = [(sample.t, sample.services.get(service.name) or [None]) for sample in answer.samples]
    series = [(at, value[0]) for at, value in values if value[0] is not None]
    if len(series) < 2:
        return None
    limit = service.memory.max
    caption = ["Its memory", key("limit", f"its limit, {size(limit)}") if limit else None]
    return figure(caption, memory_curve(series, answer.window, limit, answer.time, f"Memory of {service.name}"))


def _ends(service: Service, now: float) -> Iterator[Markup]:
    groups = _grouped(service.ends)
    rows = [
        element(
            "tr",
            element("td", when(last, now) if last - first < 60 else f"{when(first, now)} – {when(last, now)}"),
            element("td", element("strong", f"{count} × " if count > 1 else None, name(reason))),
            cell(name(said)),
        )
        for first, last, count, reason, said in groups[: -MOST_ENDS - 1 : -1]
    ]
    if rows:
        yield table("ends", ["Ended", "Why", "Details"], rows)
    if len(groups) > MOST_ENDS:
        yield quiet(f"and {len(groups) - MOST_ENDS} times before")


def _grouped(ends: list[Event]) -> list[tuple[float, float, int, str, str]]:
    """A crash loop is one row: ends for the same reason, each within an hour of the one before."""
    groups: list[tuple[float, float, int, str, str]] = []
    for end in ends:
        if groups and groups[-1][3:] == (end.reason, end.said) and end.t - groups[-1][1] < HOUR:
            first, _last, count, *why = groups.pop()
            groups.append((first, end.t, count + 1, *why))
        else:
            groups.append((end.t, end.t, 1, end.reason, end.said))
    return groups


def _tasks(service: Service, now: float) -> Iterator[Markup]:
    ordered = sorted(service.tasks.items(), key=lambda item: (-item[1].succeeded, item[0]))
    rows = [
        element(
            "tr",
            element("td", element("code", name(task))),
            number(grouped(each.succeeded), "done"),
            number(grouped(each.failed), "failed"),
            number(grouped(each.retried), "retried"),
            number(span(each.seconds / each.succeeded) if each.succeeded else "–", "on average"),
            number(span(each.longest) if each.succeeded else "–", "longest"),
            element("td", when(each.last, now), class_="still", data_label="last done"),
        )
        for task, each in ordered[:MOST_TASKS]
    ]
    if rows:
        columns = ["Task", ">done", ">failed", ">retried", ">on average", ">longest", "last done"]
        yield table("tasks", columns, rows)
    if len(ordered) > MOST_TASKS:
        yield quiet(f"and {len(ordered) - MOST_TASKS} other kinds of tasks")
