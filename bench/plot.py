"""Plots both sides."""

import matplotlib as mpl
from figures import MIB

mpl.use("svg")
# Text stays text, and the same figures give the same file.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "evenkeel", "font.size": 10, "axes.titlesize": 11})
from matplotlib import pyplot  # noqa: E402 (the back end is chosen first)

COLOURS = {"before": "#b4532a", "after": "#1f6f8b"}
LABELS = {"before": "5 and 2 stale", "after": "1, with 20 threads"}


def draw(samples: dict, sides: dict, path) -> None:
    """`samples` are the rounds of each side, `sides` their medians."""
    figure, (memory, refused, quota) = pyplot.subplots(
        1, 3, figsize=(11, 3.8), layout="constrained", width_ratios=(3, 1, 1)
    )
    _memory(memory, samples)
    _bars(refused, "Calls refused (429)", sides, lambda side: side.refused, "{:.0f}")
    _bars(quota, "Share of the quota used", sides, lambda side: 100 * side.quota_share, "{:.0f} %")
    quota.set_ylim(0, 118)
    for axes in (memory, refused, quota):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def _memory(axes, samples: dict) -> None:
    for name, rounds in samples.items():
        for series in rounds:
            start = next(sample["time"] for sample in series if sample["served"])
            minutes = [(sample["time"] - start) / sample["window_seconds"] for sample in series]
            sizes = [sample["pss"] / MIB for sample in series]
            axes.plot(minutes, sizes, color=COLOURS[name], linewidth=1.2, alpha=0.7)
        axes.annotate(
            LABELS[name], (minutes[-1], sizes[-1]), (6, 0), textcoords="offset points", color=COLOURS[name], va="center"
        )
    axes.set_title("Memory of all workers (PSS, MiB)", loc="left")
    axes.set_xlabel("minutes of the quota")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)


def _bars(axes, title: str, sides: dict, value, form: str) -> None:
    heights = [value(side) for side in sides.values()]
    bars = axes.bar(list(sides), heights, width=0.6, color=[COLOURS[name] for name in sides])
    axes.bar_label(bars, [form.format(height) for height in heights], padding=2)
    axes.set_title(title, loc="left")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
