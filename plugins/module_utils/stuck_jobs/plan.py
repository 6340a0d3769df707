# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: reads page by page which jobs are stuck, and what is to become of each. Writes nothing."""

# ruff: noqa: S608 -- every identifier in our SQL was looked up in the database first and is quoted; values are bound.
from __future__ import annotations

import re
import sqlite3
from typing import Any, Callable, Container, Iterable, Iterator, Mapping, Sequence

from .access import in_wal_mode
from .change import Change, Note, Shape, show
from .options import Database, StuckJobsError, Table
from .schema import Referrer, Schema, marks, q, read_schema, unnamed_referrers
from .times import Clock, parse_threshold, parse_time, parse_zone, span
from .workers import same_name

PAGE = 10_000  # rows that one query reads, and the most that a batch has
DELETE_PAGE = 200  # whole rows, which may be big
WINDOW = 50_000  # rows that one query looks through where readers keep writers waiting
PARENTS = 200  # jobs that are judged at a time, and whose children one query asks for

Row = Sequence[Any]


class NotText(bytes):
    """What the database says is text, but is not UTF-8: we could neither compare nor record it as such."""


class Plan:
    """What is to be done in one database, as pages of changes."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        database: Database,
        clock: Clock,
        living: Mapping[str, str],
        skip: Callable[[Note], None],
    ) -> None:
        self.database = database
        self.unknown: list[str] = []  # given ids that no job begins with
        self._met_not_text = False
        self._connection, self._clock, self._living, self._skip = connection, clock, living, skip
        self._schemas = read_schema(connection, database)
        self._zone = parse_zone(database.time_zone)
        self._threshold = parse_threshold(database.threshold)
        # Keys of JSON and YAML may be texts where the database has numbers.
        self._thresholds = {str(key): parse_threshold(value) for key, value in database.thresholds.items()}
        self._most_attempts = database.max_attempts if database.action == "reset" else 0
        self._by_age = database.respect_age or not database.jobs
        self._shapes: dict[tuple[str, str], Shape] = {}
        self._reads = {table.table: self._columns_to_read(table) for table in database.family()}
        # Where in a row of the jobs each column is, after the row's place.
        first = len(self._schemas[database.table].locator)
        self._at = {column: number for number, column in enumerate(self._reads[database.table], first)}
        self._time_at = self._at[database.time_column]
        self._key_at = [self._at[column] for column in database.id_column]
        counts = database.action == "reset" and (database.count_attempts or database.max_attempts)
        self._attempts_at = self._at[database.attempts_column] if counts and database.attempts_column else None
        self._referrers = unnamed_referrers(connection, database) if database.action == "delete" else []

    def pages(self) -> Iterator[list[Change]]:
        """All changes, in the order of the table: few at a time, as the others write while we think."""
        for rows in self._given() if self.database.jobs else self._stuck():
            for start in range(0, len(rows), PARENTS):
                yield self._judged(rows[start : start + PARENTS])

    def _judged(self, rows: Sequence[Row]) -> list[Change]:
        changes = [change for change in map(self._judge, rows) if change]
        families = self.with_children(changes)
        kept = self._kept(families)
        for number, why in kept.items():
            self._skip(Note(self.database.table, families[number].id, why))
        return _without(families, kept)

    # What is read

    def _columns_to_read(self, table: Table) -> tuple[str, ...]:
        columns = [
            # Of what is deleted, all: that is what has to be unchanged, and to come back.
            *(self._schemas[table.table].columns if self.database.action == "delete" else ()),
            *table.id_column,
            table.status_column,
            *table.set_to("reset"),
            *table.set_to("fail"),
            table.error_column,
        ]
        if isinstance(table, Database):
            columns += [table.time_column, table.fallback_time_column, table.threshold_column, table.attempts_column]
            columns += [table.task_id_column]
        return tuple(dict.fromkeys(filter(None, columns)))

    def _columns(self, table: Table) -> str:
        """The place of the row, then what is read of it."""
        columns = [*self._schemas[table.table].locator, *map(q, self._reads[table.table])]
        return ", ".join(f"{q(table.table)}.{column}" for column in columns)

    def _stuck(self) -> Iterator[list[Row]]:
        """Pages of rows with a stuck status, by key, so that no query takes long."""
        schema, statuses = self._schemas[self.database.table], self.database.stuck_statuses
        status = q(self.database.status_column)
        # The + keeps SQLite from an index; within the parentheses, the status would no longer compare as its type does.
        is_stuck = f"+({status} IN ({marks(statuses)}))"
        if schema.status_index:
            for each in statuses:
                yield from self._paged(f" INDEXED BY {q(schema.status_index)}", f"{status} IS ?", [each])
        elif in_wal_mode(self._connection):
            yield from self._paged("", is_stuck, statuses)
        else:
            yield from self._windowed(is_stuck, statuses)

    def _paged(self, how: str, where: str, values: Sequence[Any]) -> Iterator[list[Row]]:
        schema, size = self._schemas[self.database.table], self.page_size
        select = f"SELECT {self._columns(self.database)} FROM {q(self.database.table)}{how}"
        tail = f"ORDER BY {', '.join(schema.locator)} LIMIT {size}"
        rows = self._fetch(f"{select} WHERE {where} {tail}", values)
        while rows:
            yield rows
            if len(rows) < size:
                return
            last = self._readable(rows[-1][: len(schema.locator)])
            rows = self._fetch(f"{select} WHERE {where} AND {_after(schema)} {tail}", [*values, *last])

    def _windowed(self, where: str, values: Sequence[Any]) -> Iterator[list[Row]]:
        """Where a reader keeps writers out, a query may not go through the whole table for the next stuck job."""
        schema = self._schemas[self.database.table]
        key = ", ".join(schema.locator)
        table, last = q(self.database.table), ()
        select = f"SELECT {self._columns(self.database)} FROM {table}"
        while True:
            after = _after(schema) if last else "1"
            self._connection.execute("BEGIN")  # one look for both: the second finds in memory what the first has read
            end = f"SELECT {key} FROM {table} WHERE {after} ORDER BY {key} LIMIT 1 OFFSET {WINDOW - 1}"
            until = next(iter(self._fetch(end, last)), ())
            up_to = f"({key}) <= ({marks(schema.locator)})" if until else "1"
            sql = f"{select} WHERE {after} AND {up_to} AND {where} ORDER BY {key}"
            rows = self._fetch(sql, [*last, *until, *values])
            self._connection.execute("COMMIT")
            for start in range(0, len(rows), self.page_size):
                yield rows[start : start + self.page_size]
            if not until:
                return
            last = self._readable(until)

    def _fetch(self, sql: str, values: Sequence[Any]) -> list[Row]:
        """All rows. One whose text is not UTF-8 must not keep us from the others."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" not in str(error):
                raise
        self._met_not_text, self._connection.text_factory = True, _text
        try:
            return self._connection.execute(sql, values).fetchall()
        finally:
            self._connection.text_factory = str

    def _readable(self, place: tuple[Any, ...]) -> tuple[Any, ...]:
        if any(isinstance(value, NotText) for value in place):
            table = self.database.table
            raise StuckJobsError(f"{self.database}: a key of {table} is text that is not UTF-8: {show(place)}.")
        return place

    @property
    def page_size(self) -> int:
        """As many rows as are held in memory at a time."""
        return DELETE_PAGE if self.database.action == "delete" else PAGE

    def _given(self) -> Iterator[list[Row]]:
        """The rows of the given ids; those that aren't stuck, or aren't there, are told."""
        found = {}
        for job in self.database.jobs:
            row = self._find(str(job))
            if row is None:
                self.unknown.append(str(job))
            else:
                found[row[:-1]] = row[-1]
        rows = []
        for row, is_stuck in found.items():
            if is_stuck:
                rows.append(row)
            else:
                self._leave(row, f"it is {row[self._at[self.database.status_column]]}, which is not stuck")
        for start in range(0, len(rows), self.page_size):
            yield rows[start : start + self.page_size]

    def _find(self, job: str) -> Row | None:
        """The row of an id or of an unambiguous beginning of one; a number is no beginning of another number."""
        database, keys = self.database, list(map(q, self.database.id_column))
        texts = [f"CASE typeof({key}) WHEN 'blob' THEN lower(hex({key})) ELSE CAST({key} AS TEXT) END" for key in keys]
        text, types = " || '/' || ".join(texts), " AND ".join(f"typeof({key}) IN ('text', 'blob')" for key in keys)
        is_stuck = f"{q(database.status_column)} IN ({marks(database.stuck_statuses)})"
        select = f"SELECT {self._columns(database)}, {is_stuck} FROM {q(database.table)}"
        ways = [(f"{text} = ?", (job,)), (f"{types} AND substr({text}, 1, ?) = ?", (len(job), job))]
        if len(keys) == 1:
            ways.insert(0, (f"{keys[0]} = ?", (job,)))  # by its index
        for where, values in ways:
            rows = self._fetch(f"{select} WHERE {where} LIMIT 6", (*database.stuck_statuses, *values))
            if len(rows) > 1:
                names = ", ".join(show(self._key(row)) for row in rows[:5]) + (", …" if len(rows) > 5 else "")
                raise StuckJobsError(f"{database}: {job!r} is the beginning of several ids: {names}. Write more of it.")
            if rows:
                return rows[0]
        return None

    # What is to become of it

    def _judge(self, row: Row) -> Change | None:
        """Once for every job with a stuck status: the busiest place of a run."""
        column, stamp = self.database.time_column, row[self._time_at]
        if stamp is None and self.database.fallback_time_column:
            column = self.database.fallback_time_column
            stamp = row[self._at[column]]
        since = parse_time(stamp, self._zone)
        age = None if since is None or since > self._clock.begun else self._clock.begun - since
        if self._by_age:
            if age is None and (since is None or since > self._clock.now()):
                value = "NULL" if stamp is None else repr(stamp)
                doubt = "no time that we know" if since is None else "in the future"
                return self._leave(row, f"{column} is {value}, which is {doubt}")
            # What began since we did is young, whatever the threshold: no worker was asked about it.
            if age is None or age < (self._threshold_of(row) if self._thresholds else self._threshold):
                if self.database.jobs:
                    self._leave(row, f"{row[self._at[self.database.status_column]]} for only {span(age or 0)}")
                return None
        for at in self._key_at:
            if row[at] is None:
                return self._leave(row, "it has no id")
        attempts = 0 if self._attempts_at is None else _count(row[self._attempts_at])
        if attempts is None:
            why = f"{self.database.attempts_column} is {row[self._attempts_at]!r}, which is no number of attempts"
            return self._leave(row, why)
        busy = self._living and self._busy(row)
        if busy:
            return self._leave(row, busy)
        return self._make(self._shape(self.database, self._action(attempts)), row, age, age)

    def _threshold_of(self, row: Row) -> float:
        value = row[self._at[self.database.threshold_column or self.database.status_column]]
        return self._thresholds.get(str(value), self._threshold)

    def _busy(self, row: Row) -> str:
        """Which worker is at it, or is going to be."""
        names = [self._key(row)]
        if self.database.task_id_column:
            task_id = row[self._at[self.database.task_id_column]]
            names += [] if task_id is None else [(task_id,)]
        return next(filter(None, (self._living.get(same_name(show(name))) for name in names)), "")

    def _action(self, attempts: int) -> str:
        return "fail" if self._most_attempts and attempts >= self._most_attempts else self.database.action

    def _make(self, shape: Shape, row: Row, age: float | None, job_age: float | None) -> Change:
        """The change of a row; where its job's age stands in the message, that."""
        if shape.message_at is None and shape.attempts_at is None:
            return Change(shape, row, shape.values, age)
        return Change(shape, row, self._filled(shape, row, job_age), age)

    def _filled(self, shape: Shape, before: Row, age: float | None) -> tuple[Any, ...]:
        """What is set, with what differs from row to row."""
        table, new = shape.table, list(shape.values)
        counted = shape.value(before, self.database.attempts_column) if table is self.database else None
        attempts = _count(counted) or 0
        if shape.attempts_at is not None:
            new[shape.attempts_at] = attempts + 1
        if shape.message_at is not None:
            message = table.error_message.format(
                id=show(tuple(shape.value(before, column) for column in table.id_column)),
                status=shape.value(before, table.status_column),
                age="an unknown time" if age is None else span(age),
                attempts=attempts,
            )
            old = shape.value(before, table.error_column)
            new[shape.message_at] = f"{old}\n{message}" if old and table.error_mode == "append" else message
        return tuple(new)

    def _shape(self, table: Table, action: str) -> Shape:
        shape = self._shapes.get((table.table, action))
        if shape:
            return shape
        new = table.set_to(action)
        if action == "fail" and table.error_column:
            new[table.error_column] = None
        attempts = self.database.attempts_column if self.database.count_attempts else ""
        if action == "reset" and table is self.database and attempts:
            new[attempts] = None
        columns = tuple(new)
        shape = self._shapes[table.table, action] = Shape(
            schema=self._schemas[table.table],
            action=action,
            read=self._reads[table.table],
            set=columns,
            values=tuple(new.values()),
            message_at=columns.index(table.error_column) if action == "fail" and table.error_column else None,
            attempts_at=columns.index(attempts) if attempts in columns and action == "reset" else None,
        )
        return shape

    # What goes with it

    def with_children(self, changes: Sequence[Change]) -> Sequence[Change]:
        """The changes with what goes with each: all of it into a delete, else only what is stuck itself."""
        if not self.database.children:
            return changes
        families = self._families(changes, self.database.children, [change.age for change in changes])
        return [change._replace(children=family) for change, family in zip(changes, families)]

    def _families(
        self, parents: Sequence[Change], children: Iterable[Table], ages: Sequence[float | None]
    ) -> list[tuple[Change, ...]]:
        families: list[tuple[Change, ...]] = [()] * len(parents)
        for child in children:
            numbers, found = [], []
            for number, row in self._rows_of(child, [parent.key for parent in parents]):
                numbers.append(number)
                found.append(self._make(self._shape(child, parents[number].shape.action), row, None, ages[number]))
            grand = self._families(found, child.children, [ages[number] for number in numbers])
            for number, change, family in zip(numbers, found, grand):
                families[number] += (change._replace(children=family),)
        return families

    def _rows_of(self, child: Table, keys: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Row]]:
        """The rows that belong to these parents, each with its parent's number."""
        names = [f"k{number}" for number in range(len(child.foreign_key))]
        parent = q(f"parent of {child.table}")  # a name that the child hasn't
        # Once as the column's index compares, and once exactly: 'A' does not belong to 'a'.
        matches = " AND ".join(
            f"{q(child.table)}.{q(column)} = {parent}.{name}{exactly}"
            for exactly in ("", " COLLATE BINARY")
            for column, name in zip(child.foreign_key, names)
        )
        select = f"SELECT {parent}.n, {self._columns(child)} FROM {parent} JOIN {q(child.table)} ON {matches}"
        where, statuses = "", ()
        if self.database.action != "delete" and child.status_column:
            where, statuses = (
                f" WHERE {q(child.status_column)} IN ({marks(child.stuck_statuses)})",
                child.stuck_statuses,
            )
        order = ", ".join(f"{q(child.table)}.{column}" for column in self._schemas[child.table].locator)
        for start in range(0, len(keys), PARENTS):
            some = keys[start : start + PARENTS]
            values = ", ".join(f"({start + number}, {marks(key)})" for number, key in enumerate(some))
            parents = f"WITH {parent} (n, {', '.join(names)}) AS (VALUES {values})"
            sql = f"{parents} {select}{where} ORDER BY {parent}.n, {order}"
            for row in self._fetch(sql, [value for key in some for value in key] + list(statuses)):
                yield row[0], row[1:]

    def _kept(self, changes: Sequence[Change]) -> dict[int, str]:
        """Which of these, by their numbers, are to stay as they are, and why."""
        return {**self._not_text(changes), **self._referred(changes)}

    def _not_text(self, changes: Sequence[Change]) -> dict[int, str]:
        return {
            number: f"{row.shape.table.table}.{column} is text that is not UTF-8"
            for number, change in enumerate(changes if self._met_not_text else ())
            for row in change.family()
            for column, value in zip(row.shape.read, row.before)
            if isinstance(value, NotText)
        }

    def _referred(self, changes: Sequence[Change]) -> dict[int, str]:
        """Those that a delete may not take, as others refer to a row of the family."""
        why: dict[int, str] = {}
        if not self._referrers:
            return why
        families = [{(row.shape.table.table, row.place) for row in change.flat()} for change in changes]
        for referrer in self._referrers:
            places = [
                (number, place)
                for number, family in enumerate(families)
                for table, place in family
                if table == referrer.parent
            ]
            for number, place in self._referring(referrer, places):
                if (referrer.table, place) not in families[number]:
                    why.setdefault(number, self._told(referrer))
        return why

    def _referring(
        self, referrer: Referrer, places: Sequence[tuple[int, tuple[Any, ...]]]
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The places of the rows that refer to these, with their numbers; of another table's than the family's, ()."""
        parent, own = self._schemas[referrer.parent], self._schemas.get(referrer.table)
        names = [f"k{number}" for number in range(len(parent.locator))]
        selected = ", ".join(["place.n", *(f"referring.{column}" for column in (own.locator if own else ()))])
        is_there = " AND ".join(f"referred.{column} = place.{name}" for column, name in zip(parent.locator, names))
        # The parent's column first: its collation counts, as it does for SQLite's foreign keys.
        refers = " AND ".join(
            f"referred.{q(to)} = referring.{q(column)}" for column, to in zip(referrer.columns, referrer.to)
        )
        # "main" tells a table from our VALUES, whatever its name.
        select = (
            f"SELECT DISTINCT {selected} FROM place CROSS JOIN main.{q(referrer.parent)} AS referred ON {is_there}"
            f" CROSS JOIN main.{q(referrer.table)} AS referring ON {refers}"
        )
        for start in range(0, len(places), PARENTS):
            some = places[start : start + PARENTS]
            values = ", ".join(f"({number}, {marks(place)})" for number, place in some)
            sql = f"WITH place (n, {', '.join(names)}) AS (VALUES {values}) {select}"
            for row in self._fetch(sql, [value for _number, place in some for value in place]):
                yield row[0], row[1:]

    def _told(self, referrer: Referrer) -> str:
        it = "it" if referrer.parent == self.database.table else f"its {referrer.parent}"
        refer = f"rows of {referrer.table} refer to {it} by {', '.join(referrer.columns)}"
        return f"other {refer}" if referrer.table in self._schemas else f"{refer}: name that table among the children"

    def unharmed(self, changes: Sequence[Change]) -> list[Change]:
        """Those whose children are still as planned: within a transaction nobody can add one behind our back."""
        if not self.database.children and not self._referrers:
            return list(changes)
        now = self.with_children(changes)
        still = {change.place: change.children for change in _without(now, self._kept(now))}
        return [change for change in changes if still.get(change.place) == change.children]

    # Small words

    def _key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[at] for at in self._key_at)

    def _leave(self, row: Row, why: str) -> None:
        self._skip(Note(self.database.table, show(self._key(row)), why))


def _text(value: bytes) -> str | NotText:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return NotText(value)


def _after(schema: Schema) -> str:
    return f"({', '.join(schema.locator)}) > ({marks(schema.locator)})"


def _without(changes: Sequence[Change], numbers: Container[int]) -> list[Change]:
    return [change for number, change in enumerate(changes) if number not in numbers]


def _count(value: Any) -> int | None:
    """A counter as applications store it: 5, 5.0 or '5'. None where it is none, or can't be counted on."""
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}(\.0*)?\s*", value, re.ASCII):
        value = int(value.partition(".")[0])
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    elif value is None:
        return 0
    return value if isinstance(value, int) and value < 2**63 - 1 else None
