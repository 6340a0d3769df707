# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a run: each batch of original rows, synced to the disk before the database commits their change.

JSON lines that only the database's owner can read: a head, the shapes of the changes, and for each batch first what is
going to be written, then which jobs of it were left alone, then (requeue) that its tasks were sent. During a run the
file's name ends in .part, by which the next run finds a run that crashed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import IO, Any, Callable

from .._common import files, locks
from .._common.ownership import is_roots
from .._common.users import Identity
from .actions import ACTIONS
from .aside import Aside
from .change import Change, Recorded, Shape
from .options import Database, StuckJobsError

PART = ".part"
LONGEST_HEAD = 65_536  # bytes


def directory_of(database: Database, owner: str) -> Path:
    """The directory of the database's owner, which only that user can read."""
    return Path(database.record_directory) / owner


def make_roots_directory(directory: Path, owner: Identity) -> None:
    """Root makes the owner's directory where the owner can't, but only in directories that are root's alone.

    Elsewhere, another directory could be in its place by the time that it is given to the owner.
    """
    if os.geteuid() != 0 or not is_roots(directory.parent):
        return
    files.make_directory(directory)
    with files.open_directory(directory.parent) as parent:
        made = os.open(directory.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        if os.fstat(made).st_uid == 0 != owner.uid:
            os.fchmod(made, 0o700)
            os.fchown(made, owner.uid, owner.gid)
    finally:
        os.close(made)


def make_directory(database: Database, directory: Path) -> None:
    """The owner makes it. Raises StuckJobsError."""
    try:
        files.make_directory(directory, 0o700)
    except PermissionError:
        raise StuckJobsError(
            f"{database}: {directory}, where the records of runs are kept, can't be made. Run this once as root, or set"
            " record_directory to one in which root alone or the database's owner may write."
        ) from None


@contextlib.contextmanager
def only_one_run(database: Database, directory: Path) -> Iterator[None]:
    """Waits for another run on this database, as both would find the same jobs. Raises StuckJobsError.

    It waits for half of the time that a run may take: the other one may be asking workers that do not answer.
    """
    patience = database.time_limit / 2
    try:
        with locks.hold(directory / f"{database.name}.lock", patience):
            yield
    except locks.Busy:
        raise StuckJobsError(
            f"{database}: another clean-up is still running after {patience:g} s. Try again later, or raise time_limit."
        ) from None


class Record:
    """The record of the current run. Its file is made with the first batch."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.database, self.directory = database, directory
        self.path = ""
        self._file: IO[str] | None = None
        self._shapes: dict[Shape, int] = {}
        self._heads: list[str] = []  # lines of shapes, to be written
        self._written = 0  # jobs that were changed
        self._in_doubt = 0  # jobs of the last batch, until it is done
        self._is_sent = True  # the tasks of the last batch, if any are to be sent
        self._sync: Aside | None = None  # of the last batch
        self._prepared: tuple[Sequence[Change], str] = ((), "")  # a batch, and its line
        self.sync_time = math.inf  # seconds that the last sync took, as far as it is known

    def intend(self, batch: Sequence[Change]) -> None:
        """Records what is going to be written. Nothing of it may be committed unless it is synced()."""
        self.synced()  # the batch before, if none of it was to be committed
        if self._prepared[0] is not batch:
            self.prepare(batch)
        for line in (*self._heads, self._prepared[1]):
            self._write(line)
        self._heads, self._prepared = [], ((), "")
        self._in_doubt, self._is_sent = len(batch), not self.database.requeue
        self._sync = Aside(partial(os.fdatasync, self._open_file().fileno()))

    def prepare(self, batch: Sequence[Change]) -> None:
        """What takes time of intend(), for the batch that is intended next. Writes nothing."""
        rows = []
        for number, change in enumerate(batch):
            for row in change.flat():
                rows.append((number, self._shape(row.shape), row.before, row.after))
        self._prepared = batch, _encode({"rows": rows})

    def synced(self, seconds: float | None = None) -> bool:
        """Whether the last batch is synced to the disk; waits for that, at most these seconds. Raises OSError."""
        if not self._sync:
            return True
        if not self._sync.has_ended(seconds):
            return False
        self._sync.result()
        self.sync_time = self._sync.seconds
        return True

    def done(self, left: Sequence[int]) -> None:
        """Records that the last batch is written, without these jobs of it, by their numbers."""
        self._line({"done": True, "left": list(left)})
        self._written += self._in_doubt - len(left)
        self._is_sent = self._is_sent or len(left) == self._in_doubt
        self._in_doubt = 0

    def sent(self) -> None:
        """Records that the tasks of the last batch are sent."""
        self._line({"sent": True})
        self._is_sent = True

    @property
    def part(self) -> str:
        """The path that it has until it ends."""
        return self.path + PART

    def keep(self) -> str:
        """Ends the record: gives it its final name, unless the next run has to send tasks. Returns its path.

        If nothing was changed, removes it and returns an empty text.
        """
        if not self._file:
            return ""
        for end in (self.synced, self._file.close):
            with contextlib.suppress(OSError):  # a full disk has already been reported
                end()
        part = Path(self.part)
        if not self._written and not self._in_doubt:
            part.unlink()
            return ""
        if not self._is_sent:
            return str(part)
        finish(part)
        return self.path

    def _shape(self, shape: Shape) -> int:
        if shape not in self._shapes:
            self._heads.append(_encode({"shape": len(self._shapes), **_head(shape)}))
            self._shapes[shape] = len(self._shapes)
        return self._shapes[shape]

    def _open_file(self) -> IO[str]:
        if self._file is None:
            stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
            number, path = tempfile.mkstemp(f".jsonl{PART}", f"{self.database.name}-{stamp}-", self.directory)
            self.path = path[: -len(PART)]
            self._file = os.fdopen(number, "w", encoding="utf-8")
            head = {"database": self.database.where, "name": self.database.name, "at": stamp}
            head["login"] = self.database.login
            self._file.write(json.dumps(head) + "\n")
        return self._file

    def _line(self, data: dict[str, Any]) -> None:
        self._write(_encode(data))

    def _write(self, line: str) -> None:
        file = self._open_file()
        file.write(line)  # not joined first, as it may be large
        file.write("\n")
        file.flush()


def finish(part: Path) -> None:
    part.rename(part.with_suffix(""))


def cut_short(database: Database, directory: Path, warn: Callable[[str], None]) -> Iterator[Path]:
    """The records of this database's runs that were interrupted. Raises StuckJobsError.

    warn: is told of one whose database was somewhere else, so that its tasks can't be sent.
    """
    for part in sorted(directory.glob(f"{database.name}-????????T??????Z-*.jsonl{PART}")):
        try:
            head = files.read_start(part, LONGEST_HEAD)
        except OSError as error:
            raise StuckJobsError(f"{database}: {error}. It is no record of ours: remove it.") from error
        if b"\n" in head:
            place = read(part)[0]["database"]
            if place == database.where:
                yield part
            elif database.requeue:
                warn(
                    f"{part} is of an interrupted run on {place}, whose tasks may not have been sent: name that"
                    " database as it was then, or undo the run"
                )
        elif len(head) < LONGEST_HEAD:
            part.unlink()  # interrupted before anything was written
        else:
            raise StuckJobsError(f"{database}: {part} is no record of ours: remove it.")


class Batch:
    """The jobs of a batch, each as its rows, the job's own first.

    If the run ended before it recorded that they are done, only the database shows whether they are.
    """

    def __init__(self, jobs: list[list[Recorded]], is_sent: bool) -> None:
        self.jobs, self.is_sent = jobs, is_sent


def read(path: Path, newest_first: bool = False) -> tuple[dict[str, Any], Iterator[Batch]]:
    """The head of a record, and an iterator over its batches, which are read one by one.

    newest_first: for an undo, as earlier rows may refer to later ones.
    An incomplete last line was never acted on. Raises StuckJobsError.
    """
    try:
        file = files.open_regular(path)
        head = json.loads(file.readline(LONGEST_HEAD))
        if not all(isinstance(head[name], str) for name in ("database", "name")):
            raise TypeError("its head names no database")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StuckJobsError(
            f"{path} is not a record of a run, or can't be read: {error}. Name a file that a run reported."
        ) from error
    return head, _batches(file, newest_first)


def _batches(file: IO[bytes], newest_first: bool) -> Iterator[Batch]:
    shapes: dict[int, dict[str, Any]] = {}
    found: list[dict[str, Any]] = []
    with file:
        for start, line in _lines(file):
            if "shape" in line:
                shapes[line["shape"]] = line
            elif "rows" in line:
                found.append({"start": start})
            elif found:
                found[-1].update(line)
        for batch in reversed(found) if newest_first else found:
            file.seek(batch["start"])
            jobs: dict[int, list[Recorded]] = {}
            for number, shape, before, after in json.loads(file.readline())["rows"]:
                jobs.setdefault(number, []).append(_row(shapes[shape], before, after))
            left = set(batch.get("left", ()))
            kept = [job for number, job in jobs.items() if number not in left]
            yield Batch(kept[::-1] if newest_first else kept, "sent" in batch)


def _lines(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The complete lines, each with its position in the file."""
    while True:
        start = file.tell()
        try:
            yield start, json.loads(file.readline())
        except ValueError:
            return


def _pack(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()}


def _unpack(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


_encode = json.JSONEncoder(default=_pack).encode  # the only values that JSON doesn't know are bytes


def _row(shape: dict[str, Any], before: Sequence[Any], after: Sequence[Any]) -> Recorded:
    row = dict(zip(shape["read"], map(_unpack, before)))
    return Recorded(
        table=shape["table"],
        action=ACTIONS[shape["action"]],
        key={column: row[column] for column in shape["id"]},
        before={column: row[column] for column in shape["set"]},
        after=dict(zip(shape["set"], map(_unpack, after))),
        row=row,
    )


def as_recorded(change: Change) -> Recorded:
    """A change as its record has it."""
    return _row(_head(change.shape), change.before, change.after)


def _head(shape: Shape) -> dict[str, Any]:
    """What the rows of a shape have in common. Of removed rows, `set` is what an undo restores: all stored columns."""
    columns = shape.schema.columns if shape.action.removes else shape.set
    return {
        "table": shape.table.table,
        "action": shape.action.name,
        "id": shape.table.id_column,
        "read": shape.read,
        "set": columns,
    }
