# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the journal: entries that match, with bounds on their number, their size and the time.

Only a field whose name begins with an underscore is journald's own. Everything else, also UNIT= and MESSAGE_ID=, is the
word of whoever wrote the entry, so each question also matches on who that was.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from .._common.programs import ENVIRONMENT
from .._common.texts import printable

LONGEST = 2**18  # bytes of an entry; longer ones are left out
_CURSOR = b"-- cursor: "
# The cursor in an entry's line, wherever it is. Within a text, each of these quotes would have a backslash before it,
# and only journald names fields that begin with an underscore.
_ITS_CURSOR = re.compile(rb'"__CURSOR" ?: ?"([^"\\]{1,1000})"')
_LONGEST_CURSOR = 1100  # bytes, with its name

T = TypeVar("T")


class JournalError(Exception):
    """The journal can't be read. The message is a sentence."""


@dataclass(frozen=True)
class Entry:
    """An entry of the journal."""

    time: float  # epoch seconds
    cursor: str
    message: str  # bytes that are not UTF-8 are replaced
    fields: dict[str, str]


@dataclass(frozen=True)
class Question:
    """What is asked of the journal.

    matches: alternatives, each of FIELD=VALUE that all have to match.
    grep: a regular expression, PCRE2, that the message has to match; empty: any message.
    fields: those that are wanted beside the message.
    until: only what was written before this time, in epoch seconds.
    newest: only so many entries, the newest first; without it, all of them, the oldest first.
    """

    matches: Sequence[Sequence[str]]
    fields: Sequence[str] = ()
    grep: str = ""
    until: float | None = None
    newest: int | None = None


class Reading:
    """Iterates over the entries after a cursor, or since a time.

    cursor: that of the last entry that was looked at, whether or not it has matched `grep`, or was too long; then the
    next reading begins there. If its entry is gone, it begins with what is left of the journal after it.
    since: epoch seconds, without a cursor.
    most: entries after which it ends; `exceeded` tells whether it has ended before the journal's end.
    seconds: the time after which it ends.
    Raises JournalError.
    """

    def __init__(
        self,
        question: Question,
        *,
        cursor: str = "",
        since: float | None = None,
        most: int = 200_000,
        seconds: float = 60,
    ) -> None:
        self.cursor, self.exceeded = cursor, False
        self._command, self._most, self._seconds = _command(question, cursor, since), most, seconds

    def __iter__(self) -> Iterator[Entry]:
        first, number = self.cursor, 0
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=ENVIRONMENT
            ) as process,
        ):

            def end() -> None:
                self.exceeded = True
                process.kill()

            # Also while it searches and writes nothing.
            timer = threading.Timer(self._seconds, end)
            timer.start()
            try:
                for line in _lines(process.stdout):
                    if number >= self._most:
                        self.exceeded = True
                        break
                    if line.startswith(_CURSOR):
                        self.cursor = line[len(_CURSOR) :].decode().strip()
                        continue
                    entry = _entry(line)
                    if entry and entry.cursor != first:
                        number += 1
                        self.cursor = entry.cursor
                        yield entry
                    elif not entry:
                        found = _ITS_CURSOR.search(line)
                        self.cursor = found[1].decode(errors="replace") if found else self.cursor
                else:
                    process.wait()  # before it is killed, so that its status is its own
            finally:
                timer.cancel()
                process.kill()
            status = process.wait()
            errors.seek(0)
            said = errors.read(1000).decode(errors="replace").strip()
        if not self.exceeded and (status < 0 or (status and said)):  # with nothing said: no entry matches
            raise JournalError(f"The journal can't be read: {printable(said) or f'signal {-status} ended journalctl'}.")


def understood(read: Callable[[Entry], Iterable[T] | None], entry: Entry) -> list[T]:
    """What `read` finds in an entry; nothing if it fails.

    Others write entries, so that none of them, whatever it says, may keep the rest from being read.
    """
    try:
        return list(read(entry) or ())
    except Exception:
        return []


def newest_cursor() -> str:
    """The cursor of the journal's newest entry; empty if there is none. Raises JournalError."""
    reading = Reading(Question((), newest=1), seconds=10)
    return next((entry.cursor for entry in reading), reading.cursor)


def first_time(*matches: str) -> float | None:
    """When the oldest entry that matches was written, in epoch seconds; None if there is none. Raises JournalError."""
    return next((entry.time for entry in Reading(Question([matches], ["MESSAGE_ID"]), most=1)), None)


def _command(question: Question, cursor: str, since: float | None) -> list[str]:
    command = ["journalctl", "--no-pager", "--quiet", "--all", "--output=json", "--show-cursor"]
    command.append(f"--output-fields={','.join(['MESSAGE', *question.fields])}")
    if cursor:
        # Including its own entry, which is left out later: --after-cursor of systemd before 256 leaves out the first
        # entry, whichever it is.
        command.append(f"--cursor={cursor}")
    elif since is not None:
        command.append(f"--since=@{since:.6f}")
    if question.grep:
        command += [f"--grep={question.grep}", "--case-sensitive=yes"]
    if question.until is not None:
        command.append(f"--until=@{question.until:.6f}")
    if question.newest:
        # Without --reverse, systemd before 254 shows the oldest ones.
        command += [f"--lines={question.newest}", "--reverse"]
    for number, matches in enumerate(question.matches):
        command += ["+", *matches] if number else matches
    return command


def _lines(stream: Any) -> Iterator[bytes]:
    """Its lines; of one that is too long, only its cursor, which is no entry."""
    while True:
        line = stream.readline(LONGEST)
        if not line:
            return
        if not line.endswith(b"\n"):
            line = _cursor_only(stream, line) if len(line) == LONGEST else b""  # or it was cut off with the program
        yield line


def _cursor_only(stream: Any, part: bytes) -> bytes:
    found, before = None, b""
    while True:
        found = found or _ITS_CURSOR.search(before + part)
        before = part[-_LONGEST_CURSOR:]
        if not part or part.endswith(b"\n"):
            return found[0] if found else b""
        part = stream.readline(LONGEST)


def _entry(line: bytes) -> Entry | None:
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        data = json.loads(line)
        message = _text(data.pop("MESSAGE", ""))
        at, cursor = int(data.pop("__REALTIME_TIMESTAMP")) / 1e6, data.pop("__CURSOR")
        return Entry(at, cursor, message, {name: _text(value) for name, value in data.items()})
    return None


def _text(value: Any) -> str:
    """A field's value: journalctl writes a list of bytes if it is not UTF-8, or a list of values if it has several."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(each, int) for each in value):
        return bytes(value).decode(errors="replace")
    if isinstance(value, list) and value:
        return _text(value[0])
    return ""
