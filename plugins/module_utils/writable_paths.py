# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a worker's user may write where the sandbox lets the worker write."""

from __future__ import annotations

import functools
import json
import shlex
import subprocess
from pathlib import Path
from typing import Any, Iterator

from ansible_collections.evenkeel.celery.plugins.module_utils.celery_probe import as_user
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_unit import Instance

_NAMED = 3  # so many files are named, then counted
# Runs as the user: only the kernel knows what modes, groups and access lists come to.
# closed: each path and what shuts it; roots: root's files, right in a path, that the user can't write.
_LOOK = """
import contextlib, itertools, json, os, pathlib, sys
closed, roots = {}, []
for path in sys.argv[1:]:
    above = [str(parent) for parent in reversed(pathlib.Path(path).parents)]
    shut = [parent for parent in above if not os.access(parent, os.X_OK)]
    if shut or not os.access(path, os.W_OK | (os.X_OK if os.path.isdir(path) else 0)):
        closed[path] = (shut or [path])[0]
        continue
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for entry in itertools.islice(entries, 10000):
            if entry.is_symlink() or entry.name == "lost+found" or os.access(entry.path, os.W_OK):
                continue
            if entry.stat().st_uid == 0:
                roots.append(entry.path)
print(json.dumps({"closed": closed, "roots": sorted(roots)}))
"""


def problems(instance: Instance) -> Iterator[str]:
    user = instance["user"]
    for path, shut in _look(instance)["closed"].items():
        mend = _command("chown", user, path) if shut == path else _command("chmod", "o+x", shut)
        yield (
            f"writable_paths {path!r} can't be written by user {user}: {shut} is {_ownership(Path(shut))}."
            f" Let that user in ({mend}, or setfacl), or leave the path out."
        )


def remarks(instance: Instance) -> Iterator[str]:
    """Without the worker's name: of workers that share user and paths, Ansible says it once."""
    roots, user = _look(instance)["roots"], instance["user"]
    if roots:
        more = f" … ({len(roots)} in all)" if len(roots) > _NAMED else ""
        yield (
            f"User {user} can't write to files that are root's, as a worker that ran as root leaves them."
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
    return _ask(*as_user(instance), "/usr/bin/python3", "-I", "-c", _LOOK, *instance["writable_paths"])


# Workers of one application have the same user and paths: one look is enough.
@functools.lru_cache(maxsize=None)
def _ask(*command: str) -> dict[str, Any]:
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
