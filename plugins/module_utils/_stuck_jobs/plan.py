# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: which jobs are stuck, and what to change in each and in the rows that belong to it. Writes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable

from .._common.quantities import parse_duration
from .actions import ACTIONS, Action
from .celery_client import as_argument
from .change import Change, Note, Shape, attempts_in, in_words, show
from .engines.base import Engine, NotText, Referrer, Row, Rows
from .fills import Fills, Job
from .history import NO_LIST
from .options import Table
from .times import Clock, parse_zone, span

FEW = 200  # jobs that are judged together, with their families


class Plan:
    """What to do in one database, as pages of changes."""

    def __init__(
        self,
        engine: Engine,
        rows: Rows,
        clock: Clock,
        tasks: Mapping[str, str],
        skip: Callable[[Note], None],
    ) -> None:
        self.database = database = engine.database
        self.rows = rows
        self.unknown: list[str] = []  # given ids that are no prefix of any job's id
        self._clock, self._tasks, self._skip = clock, tasks, skip
        self._parse_time, self._zone = engine.parse_time, parse_zone(database.time_zone)
        self._fills = Fills(engine, rows, clock.begun)
        self._threshold = parse_duration(database.threshold)
        # Keys of JSON and YAML may be strings where the database has numbers.
        self._thresholds = {str(key): parse_duration(value) for key, value in database.thresholds.items()}
        self._most_attempts = database.max_attempts if database.action.in_the_end else 0
        self._by_age = database.respect_age or not database.jobs
        self._shapes: dict[tuple[str, str], Shape] = {}
        self._source = self._found()
        self._read: deque[Row] = deque()  # rows that are not judged yet
        self._at = self.rows.at
        self._time_at = self._at[database.time_column]
        self._heartbeat_at = self._at[database.heartbeat_column] if database.heartbeat_column else None
        counts = self._most_attempts or (database.action.counts_attempts and database.count_attempts)
        self._attempts_at = self._at[database.attempts_column] if counts and database.attempts_column else None

    def shapes(self) -> list[Shape]:
        """All that this plan can have."""
        action = self.database.action
        actions = [action, ACTIONS[action.in_the_end]] if self._most_attempts else [action]
        return [self._shape(table, each) for table in self.database.family() for each in actions]

    def pages(self) -> Iterator[list[Change]]:
        """All changes, in the order of the table, in small pages, as other processes write meanwhile."""
        while self._read_on(1):
            yield self._judged([self._read.popleft() for _row in range(min(FEW, len(self._read)))])

    def read_ahead(self, rows: float) -> None:
        """Reads on if fewer rows than these are left to be judged, unless that needs queries anyway."""
        if self._judges_alone:
            self._read_on(rows)

    def is_read(self) -> bool:
        """Whether the next page of changes needs no query."""
        return self._judges_alone and bool(self._read)

    @property
    def _judges_alone(self) -> bool:
        return not self.database.children and not self.rows.referrers

    def _read_on(self, rows: float) -> bool:
        """Reads at most one page. False if no rows are left."""
        page = next(self._source, None) if len(self._read) < rows else ()
        self._read.extend(page or ())
        return page is not None or bool(self._read)

    def _found(self) -> Iterator[list[Row]]:
        yield from [self._given()] if self.database.jobs else self.rows.stuck()

    def _judged(self, rows: Sequence[Row]) -> list[Change]:
        changes = [change for change in map(self._judge, rows) if change]
        families = self.with_children(changes)
        kept = self._kept(families)
        for number, why in kept.items():
            self._skip(Note(self.database.table, families[number].id, why))
        return _without(families, kept)

    def _given(self) -> list[Row]:
        """The rows of the given ids that are stuck. Others are skipped, and unknown ids are noted."""
        found = {}
        for job in self.database.jobs:
            row = self.rows.find(str(job))
            if row is None:
                self.unknown.append(str(job))
            else:
                found[row[0]] = row[1]
        rows = []
        for row, is_stuck in found.items():
            if is_stuck:
                rows.append(row)
            else:
                status = in_words(row[self._at[self.database.status_column]])
                only = f", or not as `only` has it ({', '.join(self.database.only)})" if self.database.only else ""
                self._leave(row, f"it is {status}, which is not stuck{only}")
        return rows

    # What to do with a job

    def _judge(self, row: Row) -> Change | None:
        """The change for a job with a stuck status; None if it is left alone. The hot spot of a run."""
        column, stamp = self.database.time_column, row[self._time_at]
        if stamp is None and self.database.fallback_time_column:
            column = self.database.fallback_time_column
            stamp = row[self._at[column]]
        since = self._parse_time(stamp, self._zone)
        age = None if since is None or since > self._clock.begun else self._clock.begun - since
        beat = None if self._heartbeat_at is None else self._parse_time(row[self._heartbeat_at], self._zone)
        if self._by_age:
            if age is None and self._is_doubtful(since):
                return self._leave(row, _doubt(column, stamp, since))
            # A job that began after this run did is young, whatever the threshold: the workers were asked before.
            threshold = self._threshold_of(row) if self._thresholds else self._threshold
            if age is None or age < threshold:
                if self.database.jobs:
                    self._leave(row, f"{row[self._at[self.database.status_column]]} for only {span(age or 0)}")
                return None
            if self._heartbeat_at is not None and self._may_live(row, beat, threshold):
                return None
        attempts = 0 if self._attempts_at is None else attempts_in(row[self._attempts_at])
        reason = self._reason_to_leave(row, attempts, since if beat is None else max(beat, since or beat))
        if reason:
            return self._leave(row, reason)
        return self._make(self._shape(self.database, self._action(attempts)), row, age)

    def _may_live(self, row: Row, beat: float | None, threshold: float) -> bool:
        """Whether the heartbeat is recent or doubtful. Says so where it is asked for."""
        column, stamp = self.database.heartbeat_column, row[self._heartbeat_at]
        if stamp is None:
            return False
        if self._is_doubtful(beat):
            self._leave(row, _doubt(column, stamp, beat))
        elif self._clock.begun - beat >= threshold:
            return False
        elif self.database.jobs:
            self._leave(row, f"{column} is only {span(max(self._clock.begun - beat, 0))} old")
        return True

    def _is_doubtful(self, moment: float | None) -> bool:
        return moment is None or moment > self._clock.now()

    def _threshold_of(self, row: Row) -> float:
        value = row[self._at[self.database.threshold_column or self.database.status_column]]
        return self._thresholds.get(str(value), self._threshold)

    def _reason_to_leave(self, row: Row, attempts: int | None, since: float | None) -> str:
        """Why a job is left alone although it is old enough or given by its id; empty if it is not."""
        if None in self.rows.key(row):
            return "it has no id"
        if attempts is None:
            return f"{self.database.attempts_column} is {row[self._attempts_at]!r}, which is not a number of attempts"
        if self.database.celery and since is not None and self._clock.begun < since <= self._clock.now():
            return "it has begun since the workers were asked"
        return self._active_task(row) if self._tasks else ""

    def _active_task(self, row: Row) -> str:
        """Which worker executes the job's task or is going to; empty if none."""
        names = [self.rows.key(row)]
        if self.database.task_id_column:
            task_id = row[self._at[self.database.task_id_column]]
            names += [] if task_id is None else [(task_id,)]
        return next(filter(None, (self._tasks.get(as_argument(name)) for name in names)), "")

    def _action(self, attempts: int) -> Action:
        action = self.database.action
        return ACTIONS[action.in_the_end] if self._most_attempts and attempts >= self._most_attempts else action

    def _make(self, shape: Shape, row: Row, age: float | None, job: Job | None = None) -> Change:
        """The change of a row. job: the one that it belongs to, if it is not one itself."""
        if not shape.filled:
            return Change(shape, row, shape.values, age)
        new = list(shape.values)
        for position, fill in shape.filled:
            new[position] = fill(shape, row, job or Job(row, age))
        return Change(shape, row, tuple(new), age)

    def _shape(self, table: Table, action: Action) -> Shape:
        shape = self._shapes.get((table.table, action.name))
        if shape:
            return shape
        new = table.set_by(action)
        fills = self._fills.of(table, action)
        columns = tuple({**new, **fills})
        shape = self._shapes[table.table, action.name] = Shape(
            schema=self.rows.schemas[table.table],
            action=action,
            read=self.rows.columns[table.table],
            set=columns,
            values=tuple(new.get(column) for column in columns),
            filled=[(columns.index(column), fill) for column, fill in fills.items()],
        )
        return shape

    # The rows that belong to a job

    def with_children(self, changes: Sequence[Change]) -> Sequence[Change]:
        """The changes with their children: of a removed job all of them, else only those that are stuck too."""
        if not self.database.children:
            return changes
        families = self._families(changes, self.database.children, [Job(each.row, each.age) for each in changes])
        return [change._replace(children=family) for change, family in zip(changes, families)]

    def _families(
        self, parents: Sequence[Change], children: Iterable[Table], jobs: Sequence[Job]
    ) -> list[tuple[Change, ...]]:
        families: list[tuple[Change, ...]] = [()] * len(parents)
        for child in children:
            numbers, found = [], []
            for number, row in self.rows.children_of(child, [parent.key for parent in parents]):
                numbers.append(number)
                found.append(self._make(self._shape(child, parents[number].shape.action), row, None, jobs[number]))
            grand = self._families(found, child.children, [jobs[number] for number in numbers])
            for number, change, family in zip(numbers, found, grand):
                families[number] += (change._replace(children=family),)
        return families

    def _kept(self, changes: Sequence[Change]) -> dict[int, str]:
        """Which of these, by their numbers, have to be left alone, and why."""
        return {**self._no_list(changes), **self._not_text(changes), **self._referred(changes)}

    def _no_list(self, changes: Sequence[Change]) -> dict[int, str]:
        if all(table.error_mode != "json" for table in self.database.family()):
            return {}
        return {
            number: f"{row.shape.table.table}.{row.shape.table.error_column} is"
            f" {row.shape.value(row.row, row.shape.table.error_column)!r}, which is not a JSON list"
            for number, change in enumerate(changes)
            for row in change.family()
            if NO_LIST in row.after
        }

    def _not_text(self, changes: Sequence[Change]) -> dict[int, str]:
        return {
            number: f"{row.shape.table.table}.{column} is text that is not UTF-8"
            for number, change in enumerate(changes if self.rows.met_not_text else ())
            for row in change.family()
            for column, value in zip(row.shape.read, row.before)
            if isinstance(value, NotText)
        }

    def _referred(self, changes: Sequence[Change]) -> dict[int, str]:
        """Those that must not be deleted, as other rows refer to a row of the family, and why."""
        why: dict[int, str] = {}
        if not self.rows.referrers:
            return why
        families = [{(row.shape.table.table, row.place) for row in change.flat()} for change in changes]
        for referrer in self.rows.referrers:
            places = [
                (number, place)
                for number, family in enumerate(families)
                for table, place in family
                if table == referrer.parent
            ]
            for number, place in self.rows.referring(referrer, places):
                if (referrer.table, place) not in families[number]:
                    why.setdefault(number, self._describe(referrer))
        return why

    def _describe(self, referrer: Referrer) -> str:
        it = "it" if referrer.parent == self.database.table else f"its {referrer.parent}"
        refer = f"rows of {referrer.table} refer to {it} by {', '.join(referrer.columns)}"
        return f"other {refer}" if referrer.table in self.rows.schemas else f"{refer}: add that table to the children"

    def unharmed(self, changes: Sequence[Change]) -> list[Change]:
        """Those whose children are still as planned. Within a transaction, no other process can add one."""
        if not self.database.children and not self.rows.referrers:
            return list(changes)
        now = self.with_children(changes)
        still = {change.place: change.children for change in _without(now, self._kept(now))}
        return [change for change in changes if still.get(change.place) == change.children]

    def _leave(self, row: Row, why: str) -> None:
        self._skip(Note(self.database.table, show(self.rows.key(row)), why))


def _doubt(column: str, stamp: Any, moment: float | None) -> str:
    value, doubt = "NULL" if stamp is None else repr(stamp), "in the future" if moment else "not a known time format"
    return f"{column} is {value}, which is {doubt}"


def _without(changes: Sequence[Change], numbers: Container[int]) -> list[Change]:
    return [change for number, change in enumerate(changes) if number not in numbers]
