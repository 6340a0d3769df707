# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probe found about a service's writable_paths and log file, as errors and warnings."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from .._celery import log_file
from .._celery.options import Instance
from .._common.files import only_we_write
from . import hidden
from .answer import Answer


def errors(instance: Instance, found: Answer) -> Iterator[str]:
    user = instance["user"]
    for path in found.get("absent", []):
        option, or_else = _option(path, instance)
        if path != log_file.path(instance):  # which the service makes itself
            hides = list(hidden.explanation(f"{option} {path!r}", path, instance))
            yield from hides or [f"{option} {path!r} does not exist on this host. Create it, or {or_else}."]
    for path, (shut, uid, gid, mode) in found.get("closed", {}).items():
        if shut == path:
            command, safe = ["chown", "--no-dereference", user, path], only_root_leads_to(path)
        else:
            command, safe = ["chmod", "o+x", shut], only_root_leads_to(f"{shut}/.")  # chmod follows a link
        fix = f"{shlex.join(command)}, or setfacl" if safe else "chown, chmod or setfacl"
        option, or_else = _option(path, instance)
        yield (
            f"{option} {path!r} can't be written by user {user}: {shut} is {_name(uid, gid)}, mode {mode:04o}."
            f" Give that user permission ({fix}), or {or_else}."
        )


def _option(path: str, instance: Instance) -> tuple[str, str]:
    """By which option the service writes to a path, and what to do instead of correcting the path."""
    if path == log_file.path(instance):
        return "log_file", "set log_file to true"
    if path == log_file.other_directory(instance) and path not in instance["writable_paths"]:
        return "the directory of log_file", "set log_file to true"
    return "writable_paths", "leave the path out"


def warnings(instance: Instance, found: Answer) -> Iterator[str]:
    """Without the worker's name: if workers share user and paths, Ansible shows the same warning only once."""
    count, named = found.get("roots", (0, []))
    if not named:
        return
    user, more = instance["user"], f" … ({count} in all)" if count > len(named) else ""
    what = (
        f"User {user} can't write to files that belong to root, such as a worker leaves that ran as root."
        " If the worker needs them: "
    )
    if all(map(only_root_leads_to, named)):
        yield f"{what}{shlex.join(['chown', '--no-dereference', user, *named])}{more}"
    else:
        # No command, as a name may lead to another file by the time that it is run.
        names = ", ".join(named)
        yield f"{what}make {user} their owner, but look first, as {user} can replace their directory: {names}{more}"


def only_root_leads_to(path: str) -> bool:
    """Whether only root can change which directory a path leads to, so that a command with this path is safe.

    The last directory may belong to others: the commands do not follow a link that is put in there.
    """
    directory, *above = Path(path).parents
    try:
        return not os.path.islink(directory) and all(  # noqa: PTH114 -- mirrors lstat
            stat.S_ISDIR(there.st_mode) and only_we_write(there) for there in map(os.lstat, above)
        )
    except OSError:
        return False


def _name(uid: int, gid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name}:{grp.getgrgid(gid).gr_name}"
    except KeyError:
        return f"{uid}:{gid}"
