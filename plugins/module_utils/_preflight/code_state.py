# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a service's code (restart_on), as texts that differ when the code does.

The application's user can put anything into these places, so a process of that user looks, and not for ever.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .._celery.options import Instance
from .._common.child import Child, Ended, Send
from .._common.texts import printable
from .._common.users import service_identity

CODE = (".py", ".so")  # of a directory, what counts; the application may keep its data beside it
NOT_CODE = {".git", "__pycache__", "node_modules"}
MOST = 100_000  # entries of a directory, with those below it
PATIENCE = 30.0  # seconds for a service's paths
MEMORY = 2**28

State = dict[str, str]  # a text for each path


def look(instances: Sequence[Instance]) -> tuple[dict[str, State], list[str]]:
    """The state of each service's code by the service's name, and a sentence for each path that can't be looked at."""
    states: dict[str, State] = {}
    errors: list[str] = []
    known: dict[tuple[str, ...], dict[str, list[str]]] = {}  # services often have the same code
    for instance in instances:
        key = (instance["user"], instance["group"], *instance["restart_on"])
        if key not in known:
            known[key] = _look(*key)
        states[instance["name"]] = {path: text for path, (text, error) in known[key].items() if not error}
        errors += [
            f"{instance['name']}: restart_on {printable(path)!r} can't be looked at as {instance['user']}: {error}"
            for path, (_text, error) in known[key].items()
            if error
        ]
    return states, errors


def _look(user: str, group: str, *paths: str) -> dict[str, list[str]]:
    """For each path a text and an error, of which one is empty."""
    if not paths:
        return {}

    def work(send: Send) -> None:
        for path in paths:
            send(_text_or_error(path))

    try:
        child = Child(work, service_identity(user, group), MEMORY)
    except KeyError:
        return {path: ["", f"there is no user {user!r} or no group {group!r}. Create it first."] for path in paths}
    until, found = time.monotonic() + PATIENCE, {}
    try:
        for path in paths:
            found[path] = _checked(child, until)
    finally:
        child.kill()
    return found


def _checked(child: Child, until: float) -> list[str]:
    try:
        answer = child.message(until)
    except Ended as error:
        return ["", f"the process that looks {error}. Name what a deployment replaces, such as a link."]
    text, error = map(str, answer) if isinstance(answer, list) and len(answer) == 2 else ("", "")
    if error or not re.fullmatch("[0-9a-f]{16}", text):
        return ["", printable(error or "the answer is not valid.")]
    return [text, ""]


def _text_or_error(path: str) -> list[str]:
    try:
        return [text_of(path), ""]
    except OSError as error:
        return ["", f"{error.strerror}. Correct the path, or deploy the code first."]
    except _TooMany:
        advice = "Name a directory in it, or a link or file that a deployment replaces."
        return ["", f"it has more than {MOST} entries. {advice}"]


class _TooMany(Exception):
    """A directory has more than MOST entries."""


def text_of(path: str) -> str:
    """A text for what is at this path. Raises OSError if it can't be looked at."""
    place = Path(path)
    lines = [f"link {place.readlink()}"] if place.is_symlink() else []
    status = place.stat()
    lines += sorted(_files(path)) if stat.S_ISDIR(status.st_mode) else [_line("", status)]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def _files(directory: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        if error.filename == directory:  # what the user may not read within it is not the application's code
            raise error

    entries = 0
    for where, directories, names in os.walk(directory, onerror=refuse):
        directories[:] = set(directories) - NOT_CODE
        entries += len(directories) + len(names)
        if entries > MOST:
            raise _TooMany
        for name in names:
            if name.endswith(CODE):
                path = f"{where}/{name}"
                with contextlib.suppress(OSError):  # it is being replaced, or a link that leads nowhere
                    yield _line(path[len(directory) :], os.stat(path))  # noqa: PTH116 -- for each of many files


def _line(name: str, status: os.stat_result) -> str:
    # Tools that keep a file's time put another file in its place.
    return f"{name!r} {status.st_size} {status.st_mtime_ns} {status.st_ino}"
