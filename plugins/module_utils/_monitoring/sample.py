# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample: how the services of this host are now, and what has happened to them, as metrics and as a line of history.

It needs no root: whoever may read the journal (the group systemd-journal) can take one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._common import files
from .._common.metrics import Series, text
from .._common.paths import STATE
from .._common.systemd import SystemdError
from . import counters, stuck_jobs, unit_state
from .config import Config, ConfigError, Service
from .counters import Counters, ServiceCounts
from .journal import JournalError
from .machine import memory
from .metrics import METRICS, OUTCOMES, REASONS, STATES
from .unit_state import UnitState

COUNTERS = "counters.json"
TEXTFILE = "evenkeel.prom"  # for node_exporter's textfile collector
DIRECTORY = f"{STATE}/monitoring"
UNIT = "evenkeel-sample"  # whose lines in the journal are the history


SampleError = (ConfigError, JournalError, SystemdError, OSError)  # why there is no sample


def take(config: Config, directory: str | Path) -> str:
    """Takes a sample: writes the two files above to the directory. Returns the line of history.

    Raises one of SampleError; then the next sample counts what this one has not.
    """
    now = time.time()
    kept = counters.load(Path(directory, COUNTERS), now)
    units = unit_state.look(service.name for service in config.services)
    kept.listen(config, units)
    samples = _samples(config, units, kept, now)
    files.write(Path(directory, COUNTERS), files.File(counters.dump(kept), 0o600))
    files.write(Path(directory, TEXTFILE), files.File(text(METRICS, samples).encode()))
    return history(units, kept)


def history(units: Mapping[str, UnitState], kept: Counters) -> str:
    """What the report shows of the past: memory in bytes; of each service, working memory, peak, tasks and kills."""
    now = memory()
    services = {
        name: [unit.memory.working, unit.memory.peak, unit.says.running, kept.services[name].oom_kills]
        for name, unit in units.items()
    }
    data = {"used": now.used, "swap": now.swap_used, "services": services}
    return json.dumps(data, separators=(",", ":"))


class _Samples(dict[str, Series]):
    """Series by metric. None is not taken: what can't be known is absent."""

    def add(self, metric: str, value: Any, *labels: str) -> None:
        if value is not None:
            self.setdefault(f"evenkeel_{metric}", {})[labels] = value


def _samples(config: Config, units: Mapping[str, UnitState], kept: Counters, now: float) -> _Samples:
    samples = _Samples(stuck_jobs.series(kept.stuck_jobs))
    for service in config.services:
        _add_present(samples, service, units[service.name])
        _add_counts(samples, service, kept.services[service.name])
    for queue, flag in config.campaigns.items():
        samples.add("campaign", _exists(flag), queue)
    samples.add("journal_suppressed_total", kept.suppressed)
    samples.add("sample_timestamp_seconds", now)
    return samples


def _add_present(samples: _Samples, service: Service, unit: UnitState) -> None:
    name, used, says = service.name, unit.memory, unit.says
    for state in STATES:
        samples.add("service_state", state == unit.state, name, service.kind, state)
    for metric, value in (
        ("service_memory_working_bytes", used.working),
        ("service_memory_peak_bytes", used.peak),
        ("service_memory_max_bytes", used.max),
        ("service_memory_high_bytes", used.high),
        ("service_swap_bytes", used.swap),
        ("worker_running_tasks", says.running),
        ("worker_taken_tasks", says.taken),
        ("worker_started_tasks_total", says.started),
        ("beat_sent_tasks_total", says.sent),
    ):
        samples.add(metric, value, name)


def _add_counts(samples: _Samples, service: Service, counts: ServiceCounts) -> None:
    name = service.name
    for reason in REASONS:
        samples.add("service_ends_total", counts.ends.get(reason, 0), name, reason)
    samples.add("service_restarts_total", counts.restarts, name)
    samples.add("service_oom_kills_total", counts.oom_kills, name)
    if service.logs("warning"):
        samples.add("worker_rate_limited_total", counts.rate_limited, name)
    if service.logs("error"):
        samples.add("worker_lost_tasks_total", counts.lost, name)
    if service.logs("info") and counts.told:
        for task in dict.fromkeys((*service.tasks, *counts.tasks)):
            _add_task(samples, name, task, counts)


def _add_task(samples: _Samples, service: str, task: str, counts: ServiceCounts) -> None:
    found = counts.tasks.setdefault(task, counters.TaskCounts())
    first = not found.shown
    found.shown = True
    for outcome in OUTCOMES:
        samples.add("tasks_total", 0 if first else getattr(found, outcome), service, task, outcome)
    samples.add("task_seconds_total", 0 if first else found.seconds, service, task)
    samples.add("task_last_success_timestamp_seconds", found.last, service, task)


def _exists(path: str) -> bool | None:
    """None if that can't be known, as a directory on the way is closed to us."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    return True
