"""What the samples of a side come to, how the sides compare, and the table of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
# The PRD's own yardstick: "165 images in ~8 minutes".
IMAGES = 165


@dataclass(frozen=True)
class Side:
    """One side's figures."""

    peak_memory: float
    peak_memory_of_unit: float
    mean_memory: float
    requests: int
    refused: int
    quota_share: float
    images_per_minute: float
    minutes_for_images: float


def side(samples: list[dict]) -> Side:
    rpm, minute = samples[0]["rpm"], samples[0]["window_seconds"]
    busy = [sample for sample in samples if sample["served"]]
    memory = [sample["pss"] for sample in busy]
    # A full quota is begun all at once, and the next a minute later: whole quotas are what can be timed.
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


def oom_kills(samples: list[dict]) -> int:
    """A unit that restarts forgets its own."""
    counts = [sample["oom_kills"] for sample in samples]
    return sum(max(0, now - before) for before, now in zip(counts, counts[1:]))


@dataclass(frozen=True)
class OomKills:
    """On a server of so much memory."""

    server: str
    before: int
    after: int


@dataclass(frozen=True)
class Row:
    """A line of the table, its goal included."""

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
        _compared("Workers' memory at its peak (PSS)", before.peak_memory, after.peak_memory, 0.20, _mib),
        _compared("— without the leftovers", before.peak_memory_of_unit, after.peak_memory_of_unit, None, _mib),
        _compared("— on average", before.mean_memory, after.mean_memory, None, _mib),
        _compared("Calls refused (429)", before.refused, after.refused, 0.10, str),
        Row("Calls in all", str(before.requests), str(after.requests)),
        _quota(before, after),
        Row("Images a minute", f"{before.images_per_minute:.1f}", f"{after.images_per_minute:.1f}"),
        Row(f"Minutes for {IMAGES} images", f"{before.minutes_for_images:.1f}", f"{after.minutes_for_images:.1f}"),
        *map(_killed, kills),
    ]


def _compared(name: str, before: float, after: float, most: float | None, words) -> Row:
    share = after / before if before else float(after > 0)
    if most is None:
        return Row(name, words(before), words(after), reached=_percent(share))
    met = share <= most
    return Row(name, words(before), words(after), f"≤ {_percent(most)} of before", _outcome(_percent(share), met), met)


def _quota(before: Side, after: Side) -> Row:
    shares = [_percent(side.quota_share) for side in (before, after)]
    met = after.quota_share >= 0.95
    return Row("Share of the quota used", *shares, "≥ 95 %", _outcome(shares[1], met), met)


def _killed(kills: OomKills) -> Row:
    met = not kills.after
    name = f"Workers ended for want of memory ({kills.server})"
    return Row(name, str(kills.before), str(kills.after), "0", _outcome(str(kills.after), met), met)


def _outcome(reached: str, met: bool) -> str:
    return f"{reached}, {'met' if met else 'missed'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _mib(number: float) -> str:
    return f"{number / MIB:.0f} MiB"


def markdown(lines: list[Row]) -> str:
    cells = [("", "before", "after", "goal", "reached"), *(row.cells() for row in lines)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)
