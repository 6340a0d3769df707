# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts as SVG. Places along the time are percentages, so that texts keep their size on every screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .answer import FAILED, REFUSED, SUCCEEDED, Event, Memory
from .html import Markup, element
from .words import DAY, HOUR, MINUTE, count, day, size, when

Window = tuple[float, float]
MOST_MARKS = 200  # ends that are drawn
LABELS = 7  # days that are named
AXIS = 18  # pixels below a chart, for the days
MARKS = 14  # pixels above it, for what happened
LABEL = 13  # pixels of a line of text


def tasks_by_hour(
    hours: Sequence[Sequence[int]], ends: Sequence[Event], window: Window, known: float, ours: float | None
) -> Markup:
    """Bars of what was done and failed, refused calls below the line, and a mark for each end.

    known: since when there can be anything. ours: since when the service is deployed by us.
    """
    most = max((hour[SUCCEEDED] + hour[FAILED] for hour in hours), default=0)
    refused = max((hour[REFUSED] for hour in hours), default=0)
    base = MARKS + 64
    height = base + (26 if refused else 0) + AXIS
    parts: list[object] = [*_days(window, height)]
    if known > window[0] + HOUR:
        parts.append(element("rect", x=0, y=MARKS, width=_percent(known, window), height=64, class_="blank"))
    width = f"{80 * HOUR / (window[1] - window[0]):.3f}%"
    for index, hour in enumerate(hours):
        place = {"x": _percent(window[0] + index * HOUR, window), "width": width}
        parts += _bars(hour, base, (most or 1, refused or 1), place)
    if ours and window[0] + HOUR < ours < window[1] - HOUR:
        parts.append(_upright(_percent(ours, window), MARKS, base, "ours"))
    for at in sorted({round(end.t / MINUTE) * MINUTE for end in ends})[-MOST_MARKS:]:
        parts.append(_upright(_percent(at, window), MARKS, base, "end"))
        parts.append(element("text", "▼", x=_percent(at, window), y=MARKS - 2, class_="end", text_anchor="middle"))
    parts.append(element("line", x1=0, x2="100%", y1=base, y2=base, class_="axis"))
    calls, unexpected = count(refused, "refused call"), count(len(ends), "unexpected end")
    spoken = f"Tasks by hour: at most {most} done or failed, at most {calls}; {unexpected}"
    return element("svg", parts, width="100%", height=height, role="img", aria_label=spoken)


def _bars(hour: Sequence[int], base: int, most: tuple[int, int], place: dict[str, str]) -> Iterator[Markup]:
    """Those of one hour. most: done or failed, and refused calls, in any hour."""
    y = float(base)
    for column, kind in ((SUCCEEDED, "done"), (FAILED, "failed")):
        if hour[column]:
            tall = max(1.5, 62 * hour[column] / most[0])
            y -= tall
            yield element("rect", y=f"{y:.1f}", height=f"{tall:.1f}", class_=kind, **place)
    if hour[REFUSED]:
        tall = max(1.5, 24 * hour[REFUSED] / most[1])
        yield element("rect", y=base + 1, height=f"{tall:.1f}", class_="refused", **place)


def memory_curve(
    series: Sequence[tuple[float, int]], window: Window, limit: int | None, now: float, spoken: str
) -> Markup:
    """Bytes over time, with a dashed line at the limit."""
    plot, top = 56, max([limit or 0, *(value for _at, value in series)]) * 1.05 or 1
    base = MARKS + plot
    steps, last = [], None
    for at, value in series:
        is_gap = last is None or at - last > 6 * HOUR
        x, y = 1000 * _share(at, window), plot * (1 - value / top)
        steps.append(f"{'M' if is_gap else 'L'}{x:.1f} {y:.1f}")
        last = at
    stretched = {
        "viewBox": f"0 0 1000 {plot}",
        "preserveAspectRatio": "none",
        "y": MARKS,
        "width": "100%",
        "height": plot,
    }
    parts: list[object] = [*_days(window, base + AXIS)]
    parts.append(element("svg", element("path", d="".join(steps), class_="curve"), **stretched))
    at, peak = max(series, key=lambda point: point[1])
    y = MARKS + plot * (1 - peak / top)
    bottom = y - 6  # of the label: above its peak, no curve is in the way
    if limit:
        limit_y = MARKS + plot * (1 - limit / top)
        parts.append(element("line", x1=0, x2="100%", y1=f"{limit_y:.1f}", y2=f"{limit_y:.1f}", class_="limit"))
        if bottom - LABEL < limit_y <= y:
            bottom = limit_y - 4  # above the limit's line, too
    side = "end" if _share(at, window) > 0.5 else "start"
    place = {"x": _percent(at, window), "y": f"{bottom:.1f}", "text_anchor": side}
    parts.append(element("circle", cx=_percent(at, window), cy=f"{y:.1f}", r=3, class_="peak"))
    parts.append(element("text", f"{size(peak)}, {when(at, now)}", **place))
    parts.append(element("line", x1=0, x2="100%", y1=base, y2=base, class_="axis"))
    return element(
        "svg", parts, width="100%", height=base + AXIS, role="img", aria_label=f"{spoken}: at most {size(peak)}"
    )


def gauge(used: Memory, peak: int) -> Markup:
    """What a service uses now, and its peak, against its limit."""
    now, most = (min(100, 100 * (value or 0) / (used.max or 1)) for value in (used.working, peak))
    parts = [
        element("rect", width="100%", height=10, y=1, class_="empty"),
        element("rect", width=f"{now:.1f}%", height=10, y=1, class_="done"),
        element(
            "rect",
            x=f"{min(most, 98):.1f}%",
            width="2%",
            height=12,
            class_="failed" if most > 90 else "peak",
        ),
    ]
    return element(
        "svg", parts, width=112, height=12, role="img", aria_label=f"{now:.0f} % now, {most:.0f} % at its peak"
    )


def spark(hours: Sequence[Sequence[int]]) -> Markup:
    """What was done, by quarters of a day."""
    slots = [sum(hour[SUCCEEDED] for hour in hours[index : index + 6]) for index in range(0, len(hours), 6)]
    most, width = max(slots, default=0) or 1, f"{80 / len(slots):.2f}%"
    bars = []
    for index, done in enumerate(slots):
        if done:
            x, tall = f"{100 * index / len(slots):.2f}%", 21 * done / most
            bars.append(element("rect", x=x, y=f"{22 - tall:.1f}", width=width, height=f"{tall:.1f}", class_="done"))
    parts = [*bars, element("line", x1=0, x2="100%", y1=22, y2=22, class_="axis")]
    return element("svg", parts, width=112, height=23, role="img", aria_label=f"at most {most} in six hours")


def _days(window: Window, height: int) -> Iterator[Markup]:
    first, last = int(window[0]) // DAY + 1, int(window[1]) // DAY
    for number in range(first, last + 1):
        x = _percent(number * DAY, window)
        yield element("line", x1=x, x2=x, y1=MARKS, y2=height - AXIS + 4, class_="day")
        is_named = (last - number) % ((last - first) // LABELS + 1) == 0
        if is_named and _share(number * DAY, window) < 0.9:
            yield element("text", day(number * DAY), x=x, y=height - 4, dx=2)


def _upright(x: str, top: int, bottom: int, kind: str) -> Markup:
    return element("line", x1=x, x2=x, y1=top, y2=bottom, class_=kind)


def _percent(at: float, window: Window) -> str:
    return f"{100 * _share(at, window):.3f}%"


def _share(at: float, window: Window) -> float:
    return min(1.0, max(0.0, (at - window[0]) / (window[1] - window[0])))
