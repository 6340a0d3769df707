# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a run: each batch of original rows, synced to the disk before the database is changed.

JSON lines that only the database's owner can read: a head, the shapes of the changes, and for each batch first what is
going to be written, then which jobs of it were left alone, then (requeue) that its tasks were sent. During a run the
file's name ends in .part, by which the next run finds a run that crashed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from .._common import files, locks
from .._common.users import user_name
from .actions import ACTIONS
from .change import Change, Recorded, Shape
from .engines.base import Engine
from .options import StuckJobsError

PART = ".part"


def directory_of(engine: Engine) -> Path:
    """The directory of the database's owner, which only that user can read."""
    return Path(engine.database.record_directory) / engine.owner.name


def make_directory(engine: Engine) -> None:
    """Makes that directory. Root makes it for the database's owner, who can't write to /var/lib."""
    directory = directory_of(engine)
    if directory.is_dir():
        return
    try:
        files.make_directory(directory, 0o700)
    except PermissionError:
        raise StuckJobsError(
            f"{engine.database}: {directory}, where the records of runs are kept, can't be made. Run this once as root,"
            " or set record_directory to one where you may write."
        ) from None
    if os.geteuid() == 0:
        os.chown(directory, engine.owner.uid, engine.owner.gid, follow_symlinks=False)


@contextlib.contextmanager
def only_one_run(engine: Engine) -> Iterator[None]:
    """Waits for another run on this database, as both would find the same jobs. Raises StuckJobsError."""
    database = engine.database
    try:
        with locks.hold(directory_of(engine) / f"{database.name}.lock", database.busy_timeout):
            yield
    except locks.Busy:
        raise StuckJobsError(
            f"{database}: another clean-up is still running after {database.busy_timeout:g} s. Try again later, or"
            " raise busy_timeout."
        ) from None


class Record:
    """The record of the current run. Its file is made with the first batch."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.database = engine, engine.database
        self.path = ""
        self._file: IO[str] | None = None
        self._shapes: dict[Shape, int] = {}
        self._written = 0  # jobs that were changed
        self._in_doubt = 0  # jobs of the last batch, until it is done
        self._is_sent = True  # the tasks of the last batch, if any are to be sent

    def intend(self, batch: Sequence[Change]) -> None:
        """Records what is going to be written. It is synced to the disk when this returns."""
        rows = []
        for number, change in enumerate(batch):
            for row in change.flat():
                rows.append((number, self._shape(row.shape), row.before, row.after))
        self._line({"rows": rows})
        self._in_doubt, self._is_sent = len(batch), not self.database.requeue
        os.fdatasync(self._open_file().fileno())

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

    def keep(self) -> str:
        """Ends the record: gives it its final name, unless the next run has to send tasks. Returns its path.

        If nothing was changed, removes it and returns an empty text.
        """
        if not self._file:
            return ""
        with contextlib.suppress(OSError):  # a full disk has already been reported
            self._file.close()
        part = Path(self.path + PART)
        if not self._written and not self._in_doubt:
            part.unlink()
            return ""
        if not self._is_sent:
            return str(part)
        finish(part)
        return self.path

    def _shape(self, shape: Shape) -> int:
        if shape not in self._shapes:
            self._shapes[shape] = len(self._shapes)
            self._line({"shape": self._shapes[shape], **_head(shape)})
        return self._shapes[shape]

    def _open_file(self) -> IO[str]:
        if self._file is None:
            stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
            number, path = tempfile.mkstemp(
                f".jsonl{PART}", f"{self.database.name}-{stamp}-", directory_of(self._engine)
            )
            self.path = path[: -len(PART)]
            self._file = os.fdopen(number, "w", encoding="utf-8")
            head = {"database": self.database.path, "name": self.database.name, "at": stamp}
            self._file.write(json.dumps(head) + "\n")
        return self._file

    def _line(self, data: dict[str, Any]) -> None:
        file = self._open_file()
        file.write(_encode(data) + "\n")
        file.flush()


def finish(part: Path) -> None:
    part.rename(part.with_suffix(""))


def cut_short(engine: Engine) -> Iterator[Path]:
    """The records of this database's runs that were interrupted."""
    database = engine.database
    for part in sorted(directory_of(engine).glob(f"{database.name}-????????T??????Z-*.jsonl{PART}")):
        with part.open(encoding="utf-8") as file:
            head = file.readline()
        if not head.endswith("\n"):
            part.unlink()  # interrupted before anything was written
        elif json.loads(head).get("database") == database.path:
            yield part


def check_author(path: str, head: dict[str, Any], engine: Engine) -> None:
    """Root must not act on a record that any other user but the database's owner has written."""
    author = head["author"]
    if author not in (0, engine.owner.uid):
        raise StuckJobsError(
            f"{path} belongs to {user_name(author)}, who does not own {engine.database.path}, so it is not a record of"
            " ours. Name a file under /var/lib/evenkeel/job_cleanup or record_directory."
        )


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
        file = path.open("rb")
        head = json.loads(file.readline())
        head["database"], head["name"]
        head["author"] = os.fstat(file.fileno()).st_uid
    except (OSError, ValueError, KeyError, TypeError) as error:
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
