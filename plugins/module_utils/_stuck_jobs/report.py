# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done, or would be: counts, rows and one sentence; for people, for programs and for Prometheus."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .._common import files
from .._common.metrics import STUCK_JOBS, Series, text
from .._common.texts import printable
from .actions import ACTIONS
from .change import Change, Note, in_words, plain
from .options import Database
from .tasks import countdown
from .times import span

SHOWN = 200  # rows of each kind that a report lists by default; all of them are counted
MOST_SHOWN = 10_000  # that it can be asked to list
LONGEST_LINE = 2000  # characters of a row's columns in words


class Row(NamedTuple):
    """A row that changed, or would: what people and programs are told of it."""

    table: str
    id: str
    action: str
    status: Any  # before, as in JSON
    target: Any  # the new status; None if that is NULL, or if the row is removed
    why: str
    before: str  # the status and the other columns that are set, in words
    after: str  # the same as it is then; empty for a removed row
    countdown: Sequence[float] = ()  # the least and the most seconds after which its task starts; empty for at once

    @classmethod
    def of(cls, change: Change) -> Row:
        shape, waits = change.shape, _countdown(change)
        return cls(
            shape.table.table,
            change.id,
            shape.action.name,
            _short(plain(change.status)),
            _short(plain(change.target)),
            printable(change.why),
            _in_words(change, change.status, change.set_before),
            "" if shape.action.removes else _in_words(change, change.target, _told(change)) + _later(waits),
            waits,
        )

    @property
    def becomes(self) -> str:
        """The outcome in a word: the new status, or that the row is deleted."""
        action = ACTIONS[self.action]
        return action.done if action.removes else in_words(self.target) + _later(self.countdown)

    def as_data(self) -> dict[str, Any]:
        return {
            **{"table": self.table, "id": self.id, "action": self.action},
            **{"from": self.status, "to": self.target, "why": self.why},
            **({"countdown": list(self.countdown)} if self.countdown else {}),
        }


def _short(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def _told(change: Change) -> Sequence[Any]:
    """The values that are set, without the id of a task to be: each run makes another one."""
    new = change.shape.table.filled_by(change.shape.action).get("task_id_column")
    return ["a new id" if column == new else value for column, value in zip(change.shape.set, change.after)]


def _countdown(change: Change) -> Sequence[float]:
    table, action = change.shape.table, change.shape.action
    if not (isinstance(table, Database) and table.requeue and table.requeue.countdown and action.requeues):
        return ()
    waits = countdown(table.requeue, change.shape.value(change.row, table.attempts_column))
    return tuple(round(each, 3) for each in waits)


def _later(waits: Sequence[float]) -> str:
    return f", task in {' to '.join(dict.fromkeys(map(span, waits)))}" if waits else ""


def _in_words(change: Change, status: Any, values: Sequence[Any]) -> str:
    """The status, without its column's name, then the other columns that are set."""
    others = (f"{column} {printable(in_words(value))}" for column, value in zip(change.shape.set[1:], values[1:]))
    return printable(", ".join([printable(in_words(status)), *others]), LONGEST_LINE)


@dataclass
class Report:
    """What would be done in one database (dry run), or what was done."""

    database: Database
    dry_run: bool
    shown: int = SHOWN
    counts: dict[str, dict[str, int]] = field(default_factory=dict)  # by table and action
    rows: list[Row] = field(default_factory=list)  # the first of them
    skipped: list[Note] = field(default_factory=list)  # the first of them
    skipped_count: int = 0
    moved_on: list[Note] = field(default_factory=list)
    moved_on_count: int = 0
    unknown: list[str] = field(default_factory=list)
    sent: int = 0
    oldest: float | None = None  # seconds
    batches: int = 0
    locked: float = 0.0  # seconds, in all
    longest_lock: float = 0.0
    owner: str = ""
    record: str = ""
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    cut_short: bool = False  # it was ended while it worked, so more may have changed than is counted

    @property
    def changed(self) -> bool:
        return bool(self.counts)

    @property
    def count(self) -> int:
        """All rows that changed, or would."""
        return sum(number for actions in self.counts.values() for number in actions.values())

    def add(self, changes: Sequence[Change]) -> None:
        ages = [change.age for change in changes if change.age is not None]
        self.oldest = max([*ages, *([self.oldest] if self.oldest is not None else [])], default=None)
        rows = [row for change in changes for row in change.flat()]
        for shape, count in Counter(row.shape for row in rows).items():
            actions, name = self.counts.setdefault(shape.table.table, {}), shape.action.name
            actions[name] = actions.get(name, 0) + count
        self.rows += map(Row.of, rows[: self.shown - len(self.rows)])

    def skip(self, note: Note) -> None:
        self.skipped_count += 1
        if len(self.skipped) < self.shown:
            self.skipped.append(Note(*map(printable, note)))

    def leave(self, note: Note) -> None:
        self.moved_on_count += 1
        if len(self.moved_on) < self.shown:
            self.moved_on.append(Note(*map(printable, note)))

    def sentence(self) -> str:
        """All of it in one sentence."""
        parts = list(self._parts())
        if self.error:
            nothing = "" if self.cut_short or self.error.endswith("Nothing was changed.") else " Nothing was changed."
            return self.error + (f" Before that: {'; '.join(parts)}." if self.counts else nothing)
        return f"{self.database.name}: {'; '.join(parts)}."

    def _parts(self) -> Iterator[str]:
        would_be = "would be " if self.dry_run else ""
        parts = [
            f"{count} in {table} {would_be}{self._done(table, action)}"
            for table, actions in self.counts.items()
            for action, count in actions.items()
        ]
        yield " and ".join(parts) if parts else "nothing is stuck"
        if self.oldest is not None:
            yield f"the oldest was stuck for {span(self.oldest)}"
        if self.sent:
            yield f"{self.sent} {'task' if self.sent == 1 else 'tasks'} sent"
        if self.moved_on_count:
            yield f"{self.moved_on_count} moved on in the meantime and left alone"
        if self.skipped_count:
            yield f"{self.skipped_count} skipped"
        if self.unknown:
            yield f"no job begins with {', '.join(self.unknown)}"
        yield from self.warnings
        if self.record:
            yield f"undo: --undo {self.record}"

    def _done(self, table: str, action: str) -> str:
        outcome = next(each for each in self.database.family() if each.table == table).outcomes.get(action)
        return ACTIONS[action].done.format(status=in_words(outcome.status) if outcome else "")

    def as_data(self) -> dict[str, Any]:
        return {
            "name": self.database.name,
            **self.database.login,
            "owner": self.owner,
            "action": self.database.action.name,
            "dry_run": self.dry_run,
            "counts": self.counts,
            "changes": [row.as_data() for row in self.rows],
            "skipped": [note._asdict() for note in self.skipped],
            "skipped_count": self.skipped_count,
            "moved_on": [note._asdict() for note in self.moved_on],
            "moved_on_count": self.moved_on_count,
            "unknown": self.unknown,
            "sent": self.sent,
            "oldest_seconds": None if self.oldest is None else round(self.oldest, 1),
            "batches": self.batches,
            "locked_seconds": round(self.locked, 4),
            "longest_lock_seconds": round(self.longest_lock, 4),
            "record": self.record,
            "error": self.error,
            "summary": self.sentence(),
        }


def write_metrics(path: str, reports: Sequence[Report]) -> None:
    """Writes metrics for node_exporter's textfile collector, as a whole. Raises OSError."""
    directory = Path(path).parent
    if not directory.is_dir():  # making it would not make node_exporter read it
        raise NotADirectoryError(f"{directory} is not a directory")
    files.write(path, files.File(metrics(reports).encode()))


def metrics(reports: Sequence[Report]) -> str:
    return text(STUCK_JOBS, samples(reports))


def samples(reports: Sequence[Report]) -> dict[str, Series]:
    """The values of the metrics in STUCK_JOBS."""
    found: dict[str, Series] = {metric.name: {} for metric in STUCK_JOBS}
    for report in reports:
        name = report.database.name
        for table, actions in (report.counts or {report.database.table: {report.database.action.name: 0}}).items():
            for action, count in actions.items():
                found["stuck_jobs_rows"][name, str(plain(table)), action] = count
        for metric, value in (
            ("skipped", report.skipped_count),
            ("moved_on", report.moved_on_count),
            ("oldest_seconds", report.oldest or 0),
            ("locked_seconds", report.locked),
            ("longest_lock_seconds", report.longest_lock),
            ("failed", bool(report.error)),
            ("last_run_timestamp_seconds", time.time()),
        ):
            found[f"stuck_jobs_{metric}"][(name,)] = value
    return found
