# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a worker's user has permission to write to the worker's writable_paths."""

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

_NAMED = 3  # files that a warning names; further ones are only counted


def errors(instance: Instance) -> Iterator[str]:
    user = instance["user"]
    for path, shut in _look(instance)["closed"].items():
        fix = _command("chown", user, path) if shut == path else _command("chmod", "o+x", shut)
        yield (
            f"writable_paths {path!r} can't be written by user {user}: {shut} is {_ownership(Path(shut))}."
            f" Give that user permission ({fix}, or setfacl), or leave the path out."
        )


def warnings(instance: Instance) -> Iterator[str]:
    """Without the worker's name: if workers share user and paths, Ansible shows the same warning only once."""
    roots, user = _look(instance)["roots"], instance["user"]
    if roots:
        more = f" … ({len(roots)} in all)" if len(roots) > _NAMED else ""
        yield (
            f"User {user} can't write to files that belong to root, such as a worker leaves that ran as root."
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


# Workers of one application often have the same user and paths, which are then checked once.
@functools.cache
def _ask(user: str, group: str, *paths: str) -> dict[str, Any]:
    result = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", inspect.getsource(writable_paths_program), *paths],
        capture_output=True,
        check=True,
        **users.child_of(users.service_identity(user, group)),
    )
    return json.loads(result.stdout)
