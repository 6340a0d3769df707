# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an application's Celery workers what they are doing, and sends tasks, through the application's own Python.

A process of celery_helper runs as the owner of the database, and answers each line of JSON with a line of JSON.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import select
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .._common.users import Identity, acting_as, child_of
from . import celery_helper
from .options import Celery, StuckJobsError

STARTING = 60.0  # seconds for the application to be imported
TAIL = 4096  # bytes at the end of the helper's log in which its last line is looked for
_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}(\1[0-9a-f]{4}){2}\1[0-9a-f]{12}", re.IGNORECASE)


def as_argument(key: tuple[Any, ...]) -> str:
    """An id of the database in the form in which tasks get it as an argument, for comparison."""
    return same_name("/".join(map(_as_text, key)))


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def same_name(value: str) -> str:
    """A UUID in lower case and without dashes, as databases often store it while tasks get it with dashes."""
    return value.replace("-", "").lower() if _UUID.fullmatch(value) else value


class ActiveTasks(NamedTuple):
    """What an application's workers have scheduled, have reserved or are executing."""

    by_value: Mapping[str, str] = {}  # by a task's id and by each of its arguments: which worker does what with it
    warnings: Sequence[str] = ()  # sentences
    error: str = ""  # why it is not known; empty if it is


class CeleryClient:
    """A client of an application, through the application's own Python.

    celery: the application.
    owner: the user as whom it is imported.
    """

    def __init__(self, celery: Celery, owner: Identity) -> None:
        self._celery, self._owner = celery, owner
        self._process: subprocess.Popen[bytes] | None = None
        # The helper's standard error. It is not a pipe, as a full one would block the helper.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- stop() closes it
        self._is_ready = False
        self._broken = f"{celery.python} can't be started in {celery.directory}"  # why the helper is unusable, or empty

    def start(self) -> None:
        """Starts the helper. Root has to call this before it acts as another user, as the helper must not become root.

        Raises StuckJobsError if the environment file can't be read; ready() returns every other error.
        """
        celery = self._celery
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            self._process = subprocess.Popen(
                # An absolute path, so that nothing is looked up in the application's PATH.
                [Path(celery.directory, celery.python).absolute(), "-c", inspect.getsource(celery_helper)],
                cwd=celery.directory,
                env=_environment(celery.environment_file, self._owner),
                **child_of(self._owner),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
            )
            self._broken = ""
            setup = {"app": celery.app, "directory": celery.directory, "timeout": celery.timeout}
            self._write({**setup, "workers": list(celery.workers)})

    def stop(self) -> None:
        files = [self._log]
        if self._process:
            self._process.kill()
            self._process.wait()
            files += [self._process.stdin, self._process.stdout]
        for file in files:
            with contextlib.suppress(BrokenPipeError):
                file.close()

    def ready(self) -> str:
        """Why the application can't be used; empty if it can."""
        if not self._is_ready:
            self._broken = self._answer("ready", STARTING).get("error", "")
            self._is_ready = not self._broken
        return self._broken

    def active_tasks(self) -> ActiveTasks:
        """Asks all workers, once the application is imported."""
        error = self.ready()
        if error:
            return ActiveTasks(error=error)
        self._write("tasks")
        # The helper asks six times, each time for as long as the workers may take to answer.
        answer = self._answer("tasks", self._celery.timeout * 6 + 10)
        tasks = {same_name(value): doing for value, doing in answer.get("tasks", {}).items()}
        return ActiveTasks(tasks, answer.get("warnings", ()), answer.get("error", ""))

    def send(self, tasks: Sequence[dict[str, Any]]) -> tuple[int, str]:
        """Sends these tasks, in this order. Returns how many were sent, and an error if not all were."""
        self._write(list(tasks))
        answer = self._answer("sent", self._celery.timeout * 4 + 10 + len(tasks))
        return answer.get("sent", 0), answer.get("error", "")

    def _write(self, data: Any) -> None:
        if self._broken:
            return
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(data).encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self, wanted: str, seconds: float) -> dict[str, Any]:
        """An answer with the key `wanted`, or an error."""
        if self._broken:
            return {"error": self._broken}
        # Unusable until the answer is complete: after a time-out or an interrupt, a late answer must not be taken for
        # that to the next question.
        self._broken = f"no answer from {self._celery.app} within {seconds:g} s"
        line = self._line(seconds)
        if line == b"":
            self._broken = self._last_line()
        elif line:
            self._broken = f"{self._celery.app} gave an invalid answer"
            with contextlib.suppress(ValueError):
                answer = json.loads(line)
                if wanted in answer or answer.get("error"):
                    self._broken = ""
                    return answer
        self.stop()
        return {"error": self._broken}

    def _line(self, seconds: float) -> bytes | None:
        """A line, or what there is of it at the end of the output; None if it takes more than these seconds."""
        pipe, line, until = self._process.stdout.fileno(), bytearray(), time.monotonic() + seconds
        while not line.endswith(b"\n"):
            if not select.select([pipe], [], [], max(0, until - time.monotonic()))[0]:
                return None
            some = os.read(pipe, 65536)
            if not some:
                break
            line += some
        return bytes(line)

    def _last_line(self) -> str:
        # By pread, as seeking would move the file position that the helper shares.
        log = self._log.fileno()
        lines = os.pread(log, TAIL, max(0, os.fstat(log).st_size - TAIL)).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"{self._celery.python} ended with exit code {self._process.wait()}"


def _environment(file: str, owner: Identity) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": owner.home,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict(_variables(file, owner)),
    }


def _variables(path: str, owner: Identity) -> Iterator[tuple[str, str]]:
    """The variables of an environment file in the simple form of systemd's grammar (EnvironmentFile=)."""
    if not path:
        return
    try:
        lines = _read(Path(path), owner).splitlines()
    except (OSError, UnicodeError) as error:
        raise StuckJobsError(
            f"celery: environment_file can't be read: {error}. Let {owner.name} read it, or keep it and its directories"
            " root's."
        ) from None
    for line in map(str.strip, lines):
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            yield name.strip(), value[1:-1].replace('\\"', '"').replace("\\\\", "\\") if quoted else value


def _read(path: Path, owner: Identity) -> str:
    """Reads as the owner. As root, reads only what root alone can have put there, so that no link leads to a secret."""
    try:
        with acting_as(owner):
            return path.read_text(encoding="utf-8")
    except PermissionError:
        if os.geteuid() != 0 or not _is_roots(path):
            raise
        return path.read_text(encoding="utf-8")


def _is_roots(path: Path) -> bool:
    """Whether the file, all directories above it, and all links on the way and their targets belong to root."""
    for part in (path, *path.parents):
        info = part.lstat()
        if info.st_uid != 0:
            return False
        if stat.S_ISLNK(info.st_mode) and not _is_roots(part.parent / part.readlink()):
            return False
    return True
