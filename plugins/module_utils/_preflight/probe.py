# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out, in the application's own interpreter and as the worker's user, whether its worker could run.

The probe loads the application as `celery -A` does, connects to its broker once, and measures how much memory the main
process and its children use before their first task.
"""

from __future__ import annotations

import inspect
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._celery.options import Instance
from .._common import users
from . import probe_program

Answer = dict[str, Any]

TIMEOUT = 60  # seconds for the whole probe
BROKER_TIMEOUT = 5  # seconds for the broker to answer
MARK = "evenkeel-probe:"

# If a path is too long for a shebang, pip has a shell start Python: the second line is valid in both languages.
_SHEBANG = re.compile(r"""#! ?(?:(/\S*python\S*)|/bin/sh\n'''exec' "?(/[^"\n]*python[^"\n ]*)"? "\$0")""")


def interpreter(executable: str) -> str | None:
    """The Python in the shebang of a console script; None if this is not a console script."""
    with Path(executable).open("rb") as script:
        head = script.read(2048).decode(errors="replace")
    found = _SHEBANG.match(head)
    return (found[1] or found[2]) if found else None


def question(instance: Instance) -> str:
    """A key for caching: workers with the same one get the same answer, as importing an application takes a second."""
    seen = ("executable", "app", "directory", "pool", "user", "group", "environment")
    return json.dumps([*(instance[option] for option in seen), sorted(instance["settings"])], sort_keys=True)


def ask(instance: Instance) -> Answer:
    """What the probe found; empty if the executable is not a Python console script, so that nothing can be checked."""
    python = interpreter(instance["executable"])
    if python is None:
        return {}
    try:
        return _ask(python, instance)
    except subprocess.TimeoutExpired:
        return {"slow": True}
    except OSError as error:
        return {"executable": error.strerror or str(error)}


def errors(instance: Instance, answer: Answer) -> Iterator[str]:
    """What would keep this application from running, each in a sentence."""
    if "slow" in answer:
        yield (
            f"app {instance['app']!r} was not imported and checked within {TIMEOUT} s. Move slow work out of the import"
            " into the tasks."
        )
    if "celery" in answer:
        yield (
            f"executable {instance['executable']!r} has no working Celery: {answer['celery']}."
            " Install Celery there, or correct the path."
        )
    if "executable" in answer:
        yield (
            f"executable {instance['executable']!r} can't be run by user {instance['user']}: {answer['executable']}."
            " Let that user read and execute the virtual environment."
        )
    if "pool" in answer:
        yield (
            f"pool {instance['pool']} can't be used: {answer['pool']}. Install it in Celery's virtual environment, or"
            " set another pool."
        )
    if not answer.get("enters", True):
        yield (
            f"directory {instance['directory']!r} can't be read by user {instance['user']}. Give that user read and"
            " execute permission."
        )
    elif "app" in answer:
        yield (
            f"app {instance['app']!r} can't be loaded in {instance['directory']} as user {instance['user']}:"
            f" {answer['app']}. Check app, directory and environment."
        )
    if answer.get("transport"):
        # The errors of some transports don't name the missing library. kombu's extras have the transports' names.
        yield (
            f"the broker URL needs a library that is not installed with Celery ({answer['broker']})."
            f" Install it: {interpreter(instance['executable'])} -m pip install 'kombu[{answer['transport']}]'"
        )
    elif "broker" in answer:
        why = answer["broker"].rstrip(".")
        yield f"the broker {answer.get('uri', '')} does not answer: {why}. Start it, or correct its URL."
    for setting, nearest in answer.get("unknown_settings", {}).items():
        advice = f"Did you mean {nearest!r}?" if nearest else "Use its lower-case name, such as task_acks_late."
        yield f"settings: Celery has no setting {setting!r}. {advice}"


def warnings(instance: Instance, answer: Answer) -> Iterator[str]:
    """What may do harm, although the application can run."""
    if not answer:
        yield (
            f"executable {instance['executable']!r} is not a console script with a Python in its first line, so the"
            " application, the broker and the memory limits could not be checked. Set it to the celery of the"
            " application's virtual environment to have them checked."
        )
    if instance["settings"].get("task_reject_on_worker_lost", answer.get("requeues")):
        yield (
            "task_reject_on_worker_lost is set for all tasks. With task_acks_late, a task that needs too much memory is"
            " redelivered forever, unless the application counts its deliveries (docs/memory.md)."
        )


def _ask(python: str, instance: Instance) -> Answer:
    request = {
        **{option: instance[option] for option in ("app", "directory", "pool")},
        "settings": sorted(set(instance["settings"]) - {"include"}),
        "timeout": BROKER_TIMEOUT,
        "mark": MARK,
    }
    identity = users.service_identity(instance["user"], instance["group"])
    variables = {name: str(value) for name, value in instance["environment"].items() if value is not None}
    result = subprocess.run(
        [python, "-c", inspect.getsource(probe_program), json.dumps(request)],
        cwd=instance["directory"],
        env={**_bare_environment(identity), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        **users.child_of(identity),
    )
    for line in reversed(result.stdout.splitlines()):
        if line.startswith(MARK):
            return json.loads(line[len(MARK) :])
    return {"app": (result.stderr.strip().splitlines() or [f"Python ended with exit code {result.returncode}"])[-1]}


def _bare_environment(identity: users.Identity) -> dict[str, str]:
    """The environment that systemd gives a service, and PYTHONDONTWRITEBYTECODE, as a check must not write anything."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": identity.home,
        "USER": identity.name,
        "LOGNAME": identity.name,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
