# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories that systemd makes for a service (LogsDirectory= and others), for as long as the service is probed.

The probe's own unit may not have these directives: it would give away what is in them, leave them, or remove them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from .._celery.options import Instance
from .._common.ownership import is_roots
from .._common.users import Identity, service_identity
from .._targets import systemd_unit, unit_text

_PLACES = {
    "RuntimeDirectory": "/run",
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
}
_NAME = re.compile(r"(?!\.)[\w.@-]+(/(?!\.)[\w.@-]+)*", re.ASCII)  # not a specifier, and no step back


def properties(instance: Instance) -> list[str]:
    """What the service is told of its directories, and that it may write to them, as systemd-run takes it."""
    found = []
    for directive, paths in _wanted(instance).items():
        variable = directive.replace("Directory", "_DIRECTORY").upper()
        found += [f"Environment={variable}={':'.join(paths)}", *(f"ReadWritePaths=-{path}" for path in paths)]
    return found


@contextlib.contextmanager
def present(instances: Iterable[Instance]) -> Iterator[None]:
    """Makes those that are missing, and removes them in the end."""
    with contextlib.ExitStack() as stack:
        for instance in instances:
            for path in (path for paths in _wanted(instance).values() for path in paths):
                # Only where nobody else can put something in its place meanwhile.
                if not os.path.lexists(path) and is_roots(path):
                    _make(Path(path), service_identity(instance["user"], instance["group"]), stack)
        yield


def _wanted(instance: Instance) -> dict[str, list[str]]:
    """The paths by their directives."""
    settings = [(name, value) for name, value in systemd_unit.sections(instance)["Service"] if name in _PLACES]
    wanted: dict[str, list[str]] = {}
    for line in unit_text.lines(settings):
        directive, _equals, names = line.partition("=")
        # After a colon: the name of a link to it.
        plain = [name.partition(":")[0] for name in names.replace("%%", "%").split()]
        paths = [f"{_PLACES[directive]}/{name}" for name in plain if _NAME.fullmatch(name)]
        if paths:
            wanted.setdefault(directive, []).extend(paths)
    return wanted


def _make(path: Path, identity: Identity, stack: contextlib.ExitStack) -> None:
    if not path.parent.exists():
        _make(path.parent, Identity(0, 0), stack)
    path.mkdir()
    path.chmod(0o755)  # whatever our umask is
    if identity.uid:
        os.chown(path, identity.uid, identity.gid, follow_symlinks=False)
        stack.callback(shutil.rmtree, path, ignore_errors=True)
    else:
        stack.callback(_remove_empty, path)


def _remove_empty(path: Path) -> None:
    with contextlib.suppress(OSError):  # something was put there
        path.rmdir()
