# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks running workers whether they answer, and sends one a task, with the application's own celery command.

What to run follows from the worker's unit: its command up to `worker`, its user, its directory and its environment
files. It runs as that user in a transient unit with the sandbox of the worker's, so it can do no more than the worker.
"""

from __future__ import annotations

import json
import re
import shlex
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .._common import systemd, transient
from .._common.texts import printable
from .journal import Question, Reading

UNIT = "evenkeel-ping"
PATIENCE = 5  # seconds for workers to answer
IMPORT = 60  # seconds for the application to be imported
PACE = 0.5  # seconds between two looks into the log
_LONGEST = 300  # characters of a reason
_PROPERTIES = (
    *("ExecStart", "User", "Group", "WorkingDirectory", "EnvironmentFiles", "MainPID", "ActiveState", "MemoryMax"),
)
MEMORY = "2G"  # at most, where the worker has no limit
_REACH = ("broker_", "control_", "worker_enable_remote_control")  # settings that tell how a worker can be asked
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Ping:
    """What asking a worker has found. None: it can't be known, and `why` tells why."""

    answers: bool | None = None
    why: str = ""
    children: int | None = None  # processes that its main process has started
    concurrency: int | None = None  # how many there should be
    task_done: bool | None = None  # whether it has executed the task that was sent; None also if none was


@dataclass(frozen=True)
class Worker:
    """A worker's unit: its command in words, and the properties of a transient unit that runs in its place."""

    name: str
    words: tuple[str, ...]
    identity: tuple[str, ...]  # properties that differ between applications
    memory: str
    main: int

    def option(self, *names: str) -> str | None:
        """The value of the last of these options in its command."""
        found = None
        for word, after in zip(self.words, (*self.words[1:], "")):
            name, equals, value = word.partition("=")
            if name in names:
                found = value if equals else after
        return found

    @property
    def node(self) -> str:
        """Its node name, as Celery completes it."""
        host = socket.gethostname()
        short, _dot, domain = host.partition(".")
        name = self.option("--hostname", "-n") or "celery@%h"
        name = name if "@" in name else f"celery@{name}"
        return name.replace("%h", host).replace("%n", short).replace("%d", domain)

    @property
    def own_settings(self) -> list[str]:
        """The names of those settings in its command that other commands lack, and that they need to reach it."""
        settings = self.words[self.words.index("--") :] if "--" in self.words else ()
        return [word.partition("=")[0] for word in settings if word.startswith(_REACH)]

    def celery(self, *arguments: str) -> transient.Result:
        """Runs another command of the same application."""
        command = [*self.words[: self.words.index("worker")], *arguments]
        properties = [*transient.circumstances(self.name), *self.identity, f"MemoryMax={self.memory}"]
        return transient.run(UNIT, command, properties, IMPORT + PATIENCE)


def ask(names: Iterable[str], task: str = "", patience: float = 30) -> dict[str, Ping]:
    """What was found for each worker, by its name. Raises SystemdError or JournalError.

    task: one to send to each application, without arguments. patience: seconds for it to be done.
    """
    found: dict[str, Ping] = {}
    sent: dict[tuple[str, ...], bool | None] = {}
    for name, unit in systemd.show(names, _PROPERTIES).items():
        worker = _worker(name, unit)
        if unit.get("ActiveState") != "active" or not worker:
            found[name] = Ping(why="it does not run" if worker else "its unit's command is no `celery worker`")
            continue
        found[name] = _ping(worker)
        application = (*worker.words[: worker.words.index("worker")], *worker.identity)
        if task and found[name].answers:
            if application not in sent:
                sent[application] = _done(worker, task, patience)
            found[name].task_done = sent[application]
    return found


def _worker(name: str, unit: Mapping[str, str]) -> Worker | None:
    start = re.search(r"argv\[\]=(.*?) ; ignore_errors=", unit.get("ExecStart", ""))
    try:
        words = shlex.split(start[1]) if start else []
    except ValueError:
        words = []
    if "worker" not in words:
        return None
    files = re.findall(r"(/\S+) \(ignore_errors=(\w+)\)", unit.get("EnvironmentFiles", ""))
    directory = unit.get("WorkingDirectory", "").lstrip("!-")
    identity = [f"{key}={unit[key]}" for key in ("User", "Group") if unit.get(key)]
    identity += [f"WorkingDirectory={directory}"] if directory.startswith("/") else []
    identity += [f"EnvironmentFile={'-' if ignored == 'yes' else ''}{path}" for path, ignored in files]
    limit = unit.get("MemoryMax", "")
    memory = limit if limit.isdecimal() and len(limit) < 19 else MEMORY  # longer: 2**64-1, which is none
    return Worker(name, tuple(words), tuple(identity), memory, int(unit.get("MainPID") or 0))


def _ping(worker: Worker) -> Ping:
    result = worker.celery("inspect", "ping", "--json", f"--timeout={PATIENCE}")
    replies = _replies(result.output)
    found = Ping(children=_children(worker.main), concurrency=_concurrency(worker))
    if worker.node in replies:
        found.answers = True
    elif worker.own_settings:
        names = printable(", ".join(worker.own_settings), _LONGEST)
        found.why = (
            f"celery inspect does not know {names} of the worker's command line; set it in the application instead"
        )
    elif replies or "No nodes replied" in result.error:
        found.answers, found.why = False, f"{printable(worker.node, _LONGEST)} did not answer in {PATIENCE} s"
    else:
        last = (result.error or result.output).strip().splitlines()[-1:]
        found.why = f"celery inspect ping failed: {printable(''.join(last) or result.outcome, _LONGEST)}"
    return found


def _replies(output: str) -> Mapping[str, object]:
    """The application may have printed something before."""
    for line in reversed(output.splitlines()):
        try:
            replies = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(replies, dict):
            return replies
    return {}


def _children(main: int) -> int | None:
    try:
        return len(Path(f"/proc/{main}/task/{main}/children").read_text(encoding="ascii").split())
    except OSError:
        return None


def _concurrency(worker: Worker) -> int | None:
    """How many children it should have, if that is certain."""
    number = worker.option("--concurrency", "-c") or ""
    is_prefork = worker.option("--pool", "-P") in (None, "prefork") and not worker.option("--autoscale")
    return int(number) if is_prefork and number.isdecimal() and len(number) < 6 else None


def _done(worker: Worker, task: str, patience: float) -> bool | None:
    """Whether a worker of this host has told in its log that it has done the task. Another host's may have taken it."""
    begun = time.time()
    ids = _ID.findall(worker.celery("call", task).output)
    if not ids:
        return False
    return True if _wait_for(lambda: _is_done(ids[-1], begun), patience) else None


def _is_done(task_id: str, begun: float) -> bool:
    """As its user says, who could say anything: it is his application."""
    question = Question([["_TRANSPORT=stdout"]], grep=rf"Task .*\[{task_id}\] succeeded in ")
    return any(True for _entry in Reading(question, since=begun, seconds=10, most=1))


def _wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(PACE)
    return True
