"""What bench/stuck_jobs.py measures, on any kind of database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable

UPDATE, FLOOR, OURS = "one UPDATE", "floor", "clean-up"

Command = Sequence[str]


@dataclass(frozen=True)
class Case:
    """A table of jobs, and what is done to it."""

    name: str
    renew: Callable[[str], None]  # makes the jobs as they were, on the disk and in memory, for one of the contenders
    stuck: Callable[[], int]  # how many jobs are stuck
    contenders: Mapping[str, Command]  # UPDATE, FLOOR, OURS, and perhaps more: what cleans up
    others: Mapping[str, Command]  # what works beside it, by every_2_ms
    goals: Mapping[str, float]  # of the clean-up: the most times a contender's time, the most ms that another waits
    environment: Mapping[str, str] = field(default_factory=dict)
    server_cpu: Callable[[], float] = lambda: 0.0  # seconds
