# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stale workers that the next start will find: of the same application and node, and not managed by this unit."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

from .._celery.options import Instance
from .._targets.systemd_unit import stale_workers_command

_LINE = re.compile(r"stale_workers: (process (\d+) of (.+), in (.+): is a worker of .+): (stale|left alone)")


def report(instances: list[Instance], program: str) -> Iterator[str]:
    """What stale_workers.py finds, including processes of root, each in a sentence.

    program: the text of stale_workers.py, which is piped to Python so that nothing is written to the host.
    """
    for instance in instances:
        users = [*instance["stale_workers_users"], "root"]
        python, isolated, _path, *arguments = stale_workers_command(
            {**instance, "stale_workers": "report", "stale_workers_users": users}
        )
        result = subprocess.run(
            [python, isolated, "-", *arguments], input=program, capture_output=True, text=True, check=False
        )
        if result.returncode:
            why = (result.stderr.strip().splitlines() or [f"stale_workers.py ended with {result.returncode}"])[-1]
            yield f"{instance['name']}: the search for stale workers failed: {why}"
        for line in result.stdout.splitlines():
            yield from sentences(instance, line)


def sentences(instance: Instance, line: str) -> Iterator[str]:
    """What a line of the report means for the next start; nothing if it is about this worker itself."""
    found = _LINE.fullmatch(line)
    if not found:
        return
    process, pid, user, holder, verdict = found.groups()
    action = instance["stale_workers"]
    if verdict == "stale":
        then = {
            "report": "The next start leaves it alone",
            "stop": "The next start asks it to finish",
            "kill": f"The next start asks it to finish, and kills it after {instance['stale_workers_timeout']}",
        }[action]
        if user in (instance["user"], *instance["stale_workers_users"]):
            yield f"{instance['name']}: {process}. {then} (stale_workers: {action})."
        else:
            yield (
                f"{instance['name']}: {process}. It may take this worker's tasks, and the next start leaves it alone,"
                f" as it belongs to {user}. End it (kill -TERM {pid}), or set stale_workers_users: [{user}]."
            )
    elif holder.endswith(".service") and holder != f"{instance['name']}.service":
        yield (
            f"{instance['name']}: {process}. The next start leaves it alone. Stop that service, or set another"
            " node_name."
        )
