# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics in Prometheus's text format, as node_exporter's textfile collector reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

COUNTER, GAUGE = "counter", "gauge"


class Metric(NamedTuple):
    """A metric. Each of its series has all of its labels."""

    name: str
    kind: str  # COUNTER: it only grows; GAUGE: the present
    labels: tuple[str, ...]
    help: str


Series = dict[tuple[str, ...], float]  # the values, by those of the labels in the metric's order
Samples = Mapping[str, Series]  # by the metrics' names; what can't be known has no series

# The journal's entry by which a clean-up of stuck jobs tells them, and its field: JSON, by database and metric a list
# of the series, each as the values of its labels and its own.
STUCK_JOBS_MESSAGE = "4ee3df7d1d434f19a3dbd3e49e7397d5"
STUCK_JOBS_FIELD = "EVENKEEL_STUCK_JOBS"

# What the last run of the clean-up of stuck jobs did in each database.
STUCK_JOBS = (
    Metric("stuck_jobs_rows", GAUGE, ("database", "table", "action"), "Rows that the last run changed."),
    Metric(
        "stuck_jobs_skipped",
        GAUGE,
        ("database",),
        "Rows that the last run skipped, such as those with an unreadable timestamp.",
    ),
    Metric("stuck_jobs_moved_on", GAUGE, ("database",), "Jobs that changed during the last run and were left alone."),
    Metric("stuck_jobs_oldest_seconds", GAUGE, ("database",), "Age of the oldest job that the last run found stuck."),
    Metric("stuck_jobs_locked_seconds", GAUGE, ("database",), "How long the last run held the database, in all."),
    Metric(
        "stuck_jobs_longest_lock_seconds",
        GAUGE,
        ("database",),
        "How long the last run held the database at a time, at most.",
    ),
    Metric("stuck_jobs_failed", GAUGE, ("database",), "Whether the last run ended with an error."),
    Metric("stuck_jobs_last_run_timestamp_seconds", GAUGE, ("database",), "When the last run ended."),
)


def text(metrics: Iterable[Metric], samples: Samples) -> str:
    """The metrics that have series, in the order of the table."""
    lines = []
    for metric in metrics:
        series = samples.get(metric.name)
        if series:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
            lines += [f"{metric.name}{_labels(metric.labels, values)} {_number(series[values])}" for values in series]
    return "".join(f"{line}\n" for line in lines)


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    pairs = [f'{name}="{_escaped(value)}"' for name, value in zip(names, values)]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escaped(value: str) -> str:
    # What can't be encoded, such as half of a surrogate pair, would keep node_exporter from reading the whole file.
    value = value.encode(errors="replace").decode()
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return f"{float(value):.15g}"
