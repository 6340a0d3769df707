# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a worker's user may write where the sandbox lets the worker write."""

from __future__ import annotations

import functools
import inspect
import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._celery.options import Instance
from .._common import users
from . import writable_paths_program

_NAMED = 3  # so many files are named, then counted


def errors(instance: Instance) -> Iterator[str]:
    user = instance["user"]
    for path, shut in _look(instance)["closed"].items():
        mend = _command("chown", user, path) if shut == path else _command("chmod", "o+x", shut)
        yield (
            f"writable_paths {path!r} can't be written by user {user}: {shut} is {_ownership(Path(shut))}."
            f" Let that user in ({mend}, or setfacl), or leave the path out."
        )


def warnings(instance: Instance) -> Iterator[str]:
    """Without the worker's name: of workers that share user and paths, Ansible says it once."""
    roots, user = _look(instance)["roots"], instance["user"]
    if roots:
        more = f" … ({len(roots)} in all)" if len(roots) > _NAMED else ""
        yield (
            f"User {user} can't write to files that are root's. A worker that ran as root leaves such files behind."
            f" If the worker needs them: {_command('chown', user, *roots[:_NAMED])}{more}"
        )


def _command(*words: str) -> str:
    return " ".join(map(shlex.quote, words))


def _ownership(path: Path) -> str:
    there = path.stat()
    try:
        owners = f"{path.owner()}:{path.group()}"
    except KeyError:
        owners = f"{there.st_uid}:{there.st_gid}"
    return f"{owners}, mode {there.st_mode & 0o7777:04o}"


def _look(instance: Instance) -> dict[str, Any]:
    return _ask(instance["user"], instance["group"], *instance["writable_paths"])


# Workers of one application have the same user and paths: one look is enough.
@functools.cache
def _ask(user: str, group: str, *paths: str) -> dict[str, Any]:
    result = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", inspect.getsource(writable_paths_program), *paths],
        capture_output=True,
        check=True,
        **users.child_of(users.service_identity(user, group)),
    )
    return json.loads(result.stdout)
