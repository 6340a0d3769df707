# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The living: asks an application's Celery workers what they are doing, and sends tasks, through its own Python.

One helper process, started when first needed as the database's owner, takes a JSON line at a time and answers with one.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import select
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

from .access import as_owner, owner_of
from .options import Celery, Database, StuckJobsError

STARTING = 60.0  # seconds for the application to be imported
TAIL = 4096  # bytes of its log that hold its last words
_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}(\1[0-9a-f]{4}){2}\1[0-9a-f]{12}", re.IGNORECASE)

_HELPER = """
import json, os, sys
wish = json.loads(sys.stdin.readline())
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the application prints is no answer
sys.path.insert(0, wish["directory"])
def words(error):
    text = str(error).strip()
    return "%s: %s" % (type(error).__name__, text.splitlines()[0] if text else "")
def answer(**data):
    answers.write(json.dumps(data, default=str) + "\\n")
    answers.flush()
def values(thing):
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, (list, tuple)):
        return [value for item in thing for value in values(item)]
    return [str(thing)]
QUESTIONS = {"scheduled": "has scheduled it", "reserved": "has reserved it", "active": "is executing it"}
def busy():
    nodes, found = wish["workers"], {}
    # In the order of a task's way: none slips through between two questions. Once we know who is there, we wait for
    # their answers only, not for the whole time-out.
    for question, doing in QUESTIONS.items():
        inspect = app.control.inspect(destination=nodes or None, limit=len(nodes) or None, timeout=wish["timeout"])
        replies = getattr(inspect, question)() or {}
        silent = sorted(set(nodes) - set(replies))
        if silent or not replies:
            who = "no answer from " + ", ".join(silent) if silent else "no worker answered"
            return {"error": "%s within %g s" % (who, wish["timeout"])}
        nodes = sorted(replies)
        for node, tasks in replies.items():
            for task in tasks:
                task = task.get("request", task)
                for value in [task["id"], *values(task.get("args")), *values(task.get("kwargs"))]:
                    found[value] = "%s %s (task %s)" % (node, doing, task["id"])
    return {"busy": found}
def send(tasks):
    sent = 0
    try:
        with app.connection_for_write(connect_timeout=wish["timeout"]) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=wish["timeout"])
            for task in tasks:
                app.send_task(connection=connection, retry=False, **task)
                sent += 1
    except Exception as error:
        return {"sent": sent, "error": words(error)}
    return {"sent": sent}
try:
    from celery.app.utils import find_app
    app = find_app(wish["app"])
    app.loader.import_default_modules()
except BaseException as error:
    answer(error=words(error))
    sys.exit(1)
answer(ready=True)
for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer(**(busy() if asked == "busy" else send(asked)))
    except Exception as error:
        answer(error=words(error))
"""


def as_argument(key: tuple[Any, ...]) -> str:
    """An id of the database in the form in which tasks get it, to be compared."""
    return same_name("/".join(map(_as_text, key)))


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def same_name(value: str) -> str:
    """A UUID in one form, without dashes: databases often store it so, while tasks get it with them."""
    return value.replace("-", "").lower() if _UUID.fullmatch(value) else value


class Workers:
    """The workers of a database's application."""

    def __init__(self, database: Database, celery: Celery) -> None:
        self._database, self._celery = database, celery
        self._process: subprocess.Popen[bytes] | None = None
        # What the helper logs. Not a pipe: a full one would block it.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- stop() closes it
        self._broken = f"{celery.python} can't be started in {celery.directory}"  # why there is nobody to talk to

    def start(self) -> None:
        """Has to be called before root takes on the owner's identity: the helper must not find a way back to root."""
        celery = self._celery
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            self._process = subprocess.Popen(
                # Absolute: nothing is looked up in the PATH of the application.
                [Path(celery.directory, celery.python).absolute(), "-c", _HELPER],
                cwd=celery.directory,
                env=_environment(self._database, celery),
                preexec_fn=_become(owner_of(self._database)),  # noqa: PLW1509 -- we have no threads
                start_new_session=True,  # the application can't type into root's terminal
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
            )
            self._broken = ""
            wish = {"app": celery.app, "directory": celery.directory, "timeout": celery.timeout}
            self._write({**wish, "workers": list(celery.workers)})

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
        self._broken = self._answer("ready", STARTING).get("error", "")
        return self._broken

    def busy(self) -> tuple[dict[str, str], str]:
        """What the workers are executing, have reserved or have scheduled: ids and arguments of tasks, each with who.

        And why that can't be known, if it can't.
        """
        self._write("busy")
        # Three questions, each for as long as the workers may take to answer.
        answer = self._answer("busy", self._celery.timeout * 4 + 10)
        busy = {same_name(value): who for value, who in answer.get("busy", {}).items()}
        return busy, answer.get("error", "")

    def send(self, tasks: Sequence[dict[str, Any]]) -> tuple[int, str]:
        """Sends these tasks, in this order; how many were sent, and why no more."""
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
        """What is wanted, or an error."""
        if self._broken:
            return {"error": self._broken}
        # Until we have it, for good: what comes after the time-out or an interrupt is not the next question's answer.
        self._broken = f"no answer from {self._celery.app} within {seconds:g} s"
        line = self._line(seconds)
        if line == b"":
            self._broken = self._last_words()
        elif line:
            self._broken = f"{self._celery.app} gave no answer that makes sense"
            with contextlib.suppress(ValueError):
                answer = json.loads(line)
                if wanted in answer or answer.get("error"):
                    self._broken = ""
                    return answer
        self.stop()
        return {"error": self._broken}

    def _line(self, seconds: float) -> bytes | None:
        """A whole line, what there is of it at the end, or nothing after so many seconds."""
        pipe, line, until = self._process.stdout.fileno(), bytearray(), time.monotonic() + seconds
        while not line.endswith(b"\n"):
            if not select.select([pipe], [], [], max(0, until - time.monotonic()))[0]:
                return None
            some = os.read(pipe, 65536)
            if not some:
                break
            line += some
        return bytes(line)

    def _last_words(self) -> str:
        # Not by seeking: the place in the file is the helper's too.
        log = self._log.fileno()
        said = os.pread(log, TAIL, max(0, os.fstat(log).st_size - TAIL)).decode(errors="replace").strip().splitlines()
        return said[-1] if said else f"{self._celery.python} ended with {self._process.wait()}"


def _become(owner: os.stat_result) -> Callable[[], None] | None:
    """Makes root's child the owner's, for good: before it executes anything, and before it has its environment."""
    if not _is_root_for(owner):
        return None

    def become() -> None:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)

    return become


def _is_root_for(owner: os.stat_result) -> bool:
    return os.geteuid() == 0 and owner.st_uid != 0


def _environment(database: Database, celery: Celery) -> dict[str, str]:
    owner = owner_of(database).st_uid
    try:
        home = pwd.getpwuid(owner).pw_dir
    except KeyError:
        home = "/"
    bare = {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**bare, **dict(_variables(database, celery.environment_file))}


def _variables(database: Database, path: str) -> Iterator[tuple[str, str]]:
    """Of an environment file as systemd has it (EnvironmentFile=), in its plain form."""
    if not path:
        return
    try:
        lines = _read(database, Path(path)).splitlines()
    except (OSError, UnicodeError) as error:
        raise StuckJobsError(f"{database}: celery: environment_file can't be read: {error}.") from None
    for line in map(str.strip, lines):
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            yield name.strip(), value[1:-1].replace('\\"', '"').replace("\\\\", "\\") if quoted else value


def _read(database: Database, path: Path) -> str:
    """As the owner; root reads for him what only root can have put there: no link of his leads root to a secret."""
    try:
        with as_owner(database):
            return path.read_text(encoding="utf-8")
    except PermissionError:
        if not _is_root_for(owner_of(database)) or not _is_roots(path):
            raise
        return path.read_text(encoding="utf-8")


def _is_roots(path: Path) -> bool:
    """Does all of the way to this file belong to root, the links and where they lead to as well?"""
    for part in (path, *path.parents):
        info = part.lstat()
        if info.st_uid != 0:
            return False
        if stat.S_ISLNK(info.st_mode) and not _is_roots(part.parent / os.readlink(part)):
            return False
    return True
