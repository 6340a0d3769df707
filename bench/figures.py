"""Computes the figures of a round from its samples, the medians of rounds, and the table that compares both sides."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from statistics import median

MIB = 1 << 20
# What the server was observed to make in about 8 minutes.
IMAGES = 165


@dataclass(frozen=True)
class Side:
    """The figures of one side."""

    peak_memory: float
    peak_memory_of_unit: float
    mean_memory: float
    requests: float
    refused: float
    quota_share: float
    images_per_minute: float
    minutes_for_images: float


def side(samples: list[dict]) -> Side:
    """The figures of one round."""
    rpm, minute = samples[0]["rpm"], samples[0]["window_seconds"]
    busy = [sample for sample in samples if sample["served"]]
    memory = [sample["pss"] for sample in busy]
    # A quota is used in one burst, and the next a minute later: only whole quotas can be timed.
    quotas = (busy[-1]["served"] - 1) // rpm
    share = quotas * minute / _seconds_until(busy, quotas * rpm + 1)
    return Side(
        peak_memory=max(memory),
        peak_memory_of_unit=max(sample["pss_of_unit"] for sample in busy),
        mean_memory=sum(memory) / len(memory),
        requests=busy[-1]["requests"],
        refused=busy[-1]["refused"],
        quota_share=share,
        images_per_minute=share * rpm,
        minutes_for_images=_seconds_until(busy, IMAGES) / minute,
    )


def _seconds_until(busy: list[dict], images: int) -> float:
    return next(sample["time"] for sample in busy if sample["served"] >= images) - busy[0]["time"]


def middle(rounds: list[Side]) -> Side:
    """The median of each figure."""
    return Side(*map(median, zip(*map(astuple, rounds))))


def oom_kills(samples: list[dict]) -> int:
    """The sum of increases, because the count of a unit starts again when it restarts."""
    counts = [sample["oom_kills"] for sample in samples]
    return sum(max(0, now - before) for before, now in zip(counts, counts[1:]))


@dataclass(frozen=True)
class OomKills:
    """OOM kills on a server with this much memory."""

    server: str
    before: int
    after: int


@dataclass(frozen=True)
class Row:
    """A line of the table, with its goal."""

    name: str
    before: str
    after: str
    goal: str = ""
    reached: str = ""
    met: bool = True

    def cells(self) -> tuple[str, ...]:
        return (self.name, self.before, self.after, self.goal, self.reached)


def rows(before: Side, after: Side, kills: list[OomKills]) -> list[Row]:
    return [
        _compared("Workers' memory at its peak (PSS)", before.peak_memory, after.peak_memory, 0.20, mib),
        _compared("— without the stale workers", before.peak_memory_of_unit, after.peak_memory_of_unit, None, mib),
        _compared("— on average", before.mean_memory, after.mean_memory, None, mib),
        _compared("Calls refused (429)", before.refused, after.refused, 0.10, _count),
        Row("Calls in all", _count(before.requests), _count(after.requests)),
        _quota(before, after),
        Row("Images a minute", f"{before.images_per_minute:.1f}", f"{after.images_per_minute:.1f}"),
        Row(f"Minutes for {IMAGES} images", f"{before.minutes_for_images:.1f}", f"{after.minutes_for_images:.1f}"),
        *map(_killed, kills),
    ]


def peaks(before: list[Side], after: list[Side]) -> list[Row]:
    """A line for each round."""
    pairs = zip(before, after)
    return [_compared(f"{n}", b.peak_memory, a.peak_memory, 0.20, mib) for n, (b, a) in enumerate(pairs, 1)]


def _compared(name: str, before: float, after: float, most: float | None, words) -> Row:
    share = after / before if before else float(after > 0)
    reached = _percent(share, math.ceil)
    if most is None:
        return Row(name, words(before), words(after), reached=reached)
    met = share <= most
    return Row(name, words(before), words(after), f"≤ {100 * most:g} % of before", _outcome(reached, met), met)


def _quota(before: Side, after: Side) -> Row:
    shares = [_percent(side.quota_share, math.floor) for side in (before, after)]
    met = after.quota_share >= 0.95
    return Row("Share of the quota used", *shares, "≥ 95 %", _outcome(shares[1], met), met)


def _killed(kills: OomKills) -> Row:
    met = not kills.after
    name = f"Workers killed by the OOM killer ({kills.server})"
    return Row(name, str(kills.before), str(kills.after), "0", _outcome(str(kills.after), met), met)


def _outcome(reached: str, met: bool) -> str:
    return f"{reached}, {'met' if met else 'missed'}"


def _percent(share: float, to_the_worse) -> str:
    """One decimal, rounded to the worse side: a figure that narrowly misses a goal is not printed as the goal."""
    return f"{to_the_worse(round(1000 * share, 6)) / 10:.1f} %"


def _count(number: float) -> str:
    return f"{number:.0f}"


def mib(number: float) -> str:
    return f"{number / MIB:.0f} MiB"


def markdown(lines: list[Row], heading: str = "") -> str:
    cells = [(heading, "before", "after", "goal", "reached"), *(row.cells() for row in lines)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)
