# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an application's Celery workers what they are doing, and sends tasks, through the application's own Python.

A process of celery_helper, which runs as we do, answers each line of JSON with a line of JSON. It is the application's
code, so its answers may be anything, endless or missing.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .._common.child import lift_memory_limit
from . import celery_helper
from .options import Celery

STARTING = 60.0  # seconds for the application to be imported
LONGEST = 67_108_864  # bytes of an answer
TAIL = 4096  # bytes at the end of the helper's standard error in which its last line is looked for
# Read while it can be: the process that needs it may be one of a user who may not read our files.
HELPER = inspect.getsource(celery_helper)
UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}(\1[0-9a-f]{4}){2}\1[0-9a-f]{12}", re.IGNORECASE)


def as_argument(key: tuple[Any, ...]) -> str:
    """An id of the database in the form in which tasks get it as an argument, for comparison."""
    return same_name("/".join(map(_as_text, key)))


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def same_name(value: str) -> str:
    """A UUID in lower case and without dashes, as databases often store it while tasks get it with dashes."""
    return value.replace("-", "").lower() if UUID.fullmatch(value) else value


class ActiveTasks(NamedTuple):
    """What an application's workers have scheduled, have reserved or are executing."""

    by_value: Mapping[str, str] = {}  # by a task's id and by each of its arguments: which worker does what with it
    warnings: Sequence[str] = ()  # sentences
    error: str = ""  # why it is not known; empty if it is


class CeleryClient:
    """A client of an application, through the application's own Python.

    variables: those of its environment file.
    """

    def __init__(self, celery: Celery, variables: Mapping[str, str]) -> None:
        self._celery, self._variables = celery, variables
        self._process: subprocess.Popen[bytes] | None = None
        self._to_send = bytearray()
        self._said, self._is_mute = b"", False  # the end of the helper's standard error, and whether that is closed
        self._is_ready = False
        self._broken = f"{celery.python} can't be started"  # why the helper is unusable, or empty

    def start(self) -> None:
        """Starts the helper. ready() returns the error if that fails."""
        celery = self._celery
        with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
            self._process = subprocess.Popen(
                # An absolute path, so that nothing is looked up in the application's PATH.
                [Path(celery.directory, celery.python).absolute(), "-c", HELPER],
                cwd="/",  # until Python and Celery have imported their own modules
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **self._variables},
                umask=0o022,  # as systemd has it for services
                preexec_fn=lift_memory_limit,  # noqa: PLW1509 -- no thread runs: that of a record ends with its run
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            os.set_blocking(self._process.stderr.fileno(), False)
            os.set_blocking(self._process.stdin.fileno(), False)
            self._broken = ""
            self._write(
                {
                    "app": celery.app,
                    "directory": celery.directory,
                    "python": celery.python,
                    "pool": celery.pool,
                    "settings": dict(celery.settings),
                    "timeout": celery.timeout,
                    "workers": list(celery.workers),
                }
            )

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            for file in (self._process.stdin, self._process.stdout, self._process.stderr):
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
        return min(max(answer.get("sent", 0), 0), len(tasks)), answer.get("error", "")

    def _write(self, data: Any) -> None:
        """Has it sent while the answer is waited for."""
        self._to_send += json.dumps(data).encode() + b"\n"

    def _answer(self, wanted: str, seconds: float) -> dict[str, Any]:
        """An answer with the key `wanted`, or an error."""
        if self._broken:
            return {"error": self._broken}
        # Unusable until the answer is complete: after a time-out or an interrupt, a late answer must not be taken for
        # that to the next question.
        self._broken = f"no answer from {self._celery.app} within {seconds:g} s"
        line = self._line(seconds)
        if line == b"":
            self._broken = self._last_words()
        elif line:
            self._broken = f"{self._celery.app} gave an invalid answer"
            with contextlib.suppress(ValueError, RecursionError, MemoryError):
                answer = json.loads(line)
                if _is_valid(answer, wanted):
                    self._broken = ""
                    return answer
        self.stop()
        return {"error": self._broken}

    def _line(self, seconds: float) -> bytes | None:
        """A line, or what there is of it at the end of the output; None if it takes more than these seconds."""
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        line, until = bytearray(), time.monotonic() + seconds
        while not line.endswith(b"\n") and len(line) <= LONGEST:
            left = until - time.monotonic()
            if left < 0:
                return None
            # What it logs is read as well, as it would wait for ever at a full pipe.
            readable, writable, _failed = select.select(
                [stdout, *([] if self._is_mute else [stderr])],
                [stdin] if self._to_send else [],
                [],
                left,
            )
            if stderr in readable:
                self._listen()
            if writable:
                self._send_some()
            if stdout in readable:
                some = os.read(stdout.fileno(), 65536)
                if not some:
                    break
                line += some
        return bytes(line)

    def _send_some(self) -> None:
        try:
            del self._to_send[: os.write(self._process.stdin.fileno(), self._to_send)]
        except BrokenPipeError:  # it has ended: its output ends as well
            self._to_send.clear()

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            some = os.read(self._process.stderr.fileno(), 65536)
            self._is_mute = not some
            self._said = (self._said + some)[-TAIL:]

    def _last_words(self) -> str:
        """Why it has ended, which is the last line that it logged."""
        for _at_most in range(16):  # a pipe's 64 KiB, and then its end
            self._listen()
        lines = self._said.decode(errors="replace").strip().splitlines()
        if lines:
            return lines[-1]
        try:
            return f"{self._celery.python} ended with exit code {self._process.wait(1)}"
        except subprocess.TimeoutExpired:
            return f"{self._celery.python} closed its output"


_TYPES = {"ready": bool, "error": str, "tasks": dict, "warnings": list, "sent": int}


def _is_valid(answer: Any, wanted: str) -> bool:
    return (
        isinstance(answer, dict)
        and all(isinstance(answer[name], kind) for name, kind in _TYPES.items() if name in answer)
        and all(isinstance(text, str) for text in (*answer.get("tasks", {}).values(), *answer.get("warnings", ())))
        and bool(wanted in answer or answer.get("error"))
    )
