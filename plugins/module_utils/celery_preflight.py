# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What on this host keeps workers from running. Looks, and touches nothing."""

from __future__ import annotations

import grp
import os
import pwd
import re
from pathlib import Path
from typing import Iterator

from ansible_collections.evenkeel.celery.plugins.module_utils import celery_probe, systemd, writable_paths
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_unit import MARKER, Instance, unit


def total_memory() -> int:
    """Bytes of RAM that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def problems(instances: list[Instance]) -> Iterator[str]:
    """Each in a sentence that begins with the worker's name."""
    if not Path("/run/systemd/system").is_dir():
        yield "systemd does not run this host: evenkeel.celery needs it as the first process."
        return
    units = systemd.look(instance["name"] for instance in instances)
    for instance in instances:
        for problem in [*_unit_problems(units[instance["name"]]), *_host_problems(instance)]:
            yield f"{instance['name']}: {problem}"


def remarks(instances: list[Instance]) -> Iterator[str]:
    """What the operator should know, though it keeps nothing from running."""
    units = systemd.look(instance["name"] for instance in instances)
    for instance in instances:
        for drop_in in units[instance["name"]].drop_ins:
            yield f"{instance['name']}: {drop_in} changes this unit too. It stays as it is."
        yield from writable_paths.remarks(instance)
        if celery_probe.interpreter(instance["executable"]) is None:
            yield (
                f"{instance['name']}: executable {instance['executable']!r} does not say which Python it uses,"
                " so application and broker could not be looked at. The start will tell."
            )


def _unit_problems(there: systemd.Unit) -> Iterator[str]:
    if there.load_state == "masked":
        yield "name: this unit is masked. Unmask it (systemctl unmask), or choose another name."
    elif there.fragment and Path(there.fragment).is_file():
        text = Path(there.fragment).read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
        if MARKER not in text and not re.search("^ExecStart=.*celery", text, re.MULTILINE | re.IGNORECASE):
            yield f"name: {there.fragment} is the unit of something else than Celery. Choose another name."


def _host_problems(instance: Instance) -> Iterator[str]:
    found = [*_user_problems(instance), *_path_problems(instance)]
    if found:
        yield from found
        return
    yield from _systemd_problems(instance)
    yield from writable_paths.problems(instance)
    yield from celery_probe.problems(instance)


def _user_problems(instance: Instance) -> Iterator[str]:
    for user in [instance["user"], *instance["stale_workers_users"]]:
        try:
            pwd.getpwnam(user)
        except KeyError:
            yield f"user {user!r} does not exist on this host. Create it first, or name another."
    if instance["group"]:
        try:
            grp.getgrnam(instance["group"])
        except KeyError:
            yield f"group {instance['group']!r} does not exist on this host. Create it first, or name another."


def _path_problems(instance: Instance) -> Iterator[str]:
    if not Path(instance["directory"]).is_dir():
        yield f"directory {instance['directory']!r} does not exist on this host. Install the application first."
    if not os.access(instance["executable"], os.X_OK):
        yield f"executable {instance['executable']!r} is not there, or no program. Install Celery, or correct the path."
    for path in instance["writable_paths"]:
        if not Path(path).exists():
            yield f"writable_paths {path!r} does not exist on this host. Create it, or leave it out."


def _systemd_problems(instance: Instance) -> Iterator[str]:
    off = [directive for directive, value in instance["sandbox"].items() if value is False]
    for directive in systemd.unknown(off):
        yield f"sandbox: systemd knows no directive {directive!r}, so it can't be turned off. Look at its spelling."
    for complaint in systemd.verify({instance["name"]: unit(instance)}).values():
        yield f"systemd would not take its unit. Mend the option that it names:\n{complaint}"
