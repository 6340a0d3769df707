# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stale processes that the next start will find: of the same application, and not managed by this unit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Iterator
from typing import Any

from .._celery.options import Instance
from .._common.texts import printable
from .._targets.stale_workers import handling, wanted

TIMEOUT = 60  # seconds in which all processes are looked at
MOST = 20  # processes that are reported of a service
_HARM = {"worker": "It may take this worker's tasks", "beat": "It sends every task once more"}


def report(instances: list[Instance], program: str, together_with: Collection[str] = ()) -> Iterator[str]:
    """What stale_workers.py finds, including processes of root, each in a sentence.

    together_with: the names of the play's services of other kinds.
    program: the text of stale_workers.py, which is piped to Python so that nothing is written to the host.
    """
    searches = [{**wanted(instance), "users": sorted({*wanted(instance)["users"], "root"})} for instance in instances]
    command = ["/usr/bin/python3", "-I", "-S", "-", "--searches", json.dumps(searches)]
    try:
        result = subprocess.run(
            command, input=program, capture_output=True, text=True, env={}, timeout=TIMEOUT, check=True
        )
    except subprocess.SubprocessError as error:
        why = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        yield f"The search for stale workers failed: {printable(why)}"
        return
    yield from map(printable, dict.fromkeys(result.stderr.splitlines()))  # each once, as all searches say the same
    own = {f"{name}.service" for name in (*(instance["name"] for instance in instances), *together_with)}
    for instance, all_found in zip(instances, json.loads(result.stdout)):
        # The play's own: errors.py compares the beats of one list, and a worker with -B is replaced by one without.
        found = [process for process in all_found if process["unit"] not in own]
        for process in found[:MOST]:
            for sentence in sentences(instance, process):
                yield printable(f"{instance['name']}: {sentence}", None)
        if len(found) > MOST:
            kind = instance["kind"]
            yield f"{instance['name']}: {len(found) - MOST} more {kind}s of this application are running."


def sentences(instance: Instance, process: dict[str, Any]) -> Iterator[str]:
    """What a process means for the next start; nothing if it is one of this service's own."""
    pid, user, unit = process["pid"], process["user"], process["unit"]
    about = f"process {pid} of {user}, in {unit}: {process['is']}"
    action, users, timeout = handling(instance)
    option = f"stale_{instance['kind']}s"
    if process["stale"]:
        then = {
            "report": "The next start leaves it alone",
            "stop": "The next start asks it to finish",
            "kill": f"The next start asks it to finish, and kills it after {timeout}",
        }[action]
        if user in (instance["user"], *users):
            yield f"{about}. {then} ({option}: {action})."
        else:
            yield (
                f"{about}. {_HARM[instance['kind']]}, and the next start leaves it alone, as it belongs to"
                f" {user}. End it (kill -TERM {pid}), or set {option}_users: [{user}]."
            )
    elif process["embedded"]:
        yield f"{about}. It sends every task once more. Start that worker without -B."
    elif unit.endswith(".service") and unit != f"{instance['name']}.service":
        or_else = {"worker": "or set another node_name", "beat": "as it sends every task once more"}[instance["kind"]]
        yield f"{about}. The next start leaves it alone. Stop that service, {or_else}."
