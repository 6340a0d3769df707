# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an application, in its own interpreter and as its own user, whether a worker of it could run.

The probe loads the application as `celery -A` does, connects to its broker once, and measures what main process and
children have in memory before their first task.
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

TIMEOUT = 60  # seconds for an application to be imported, and for its broker to answer
BROKER_TIMEOUT = 5
MARK = "evenkeel-probe:"

# Where a path is too long for a first line, pip lets a shell start Python: the second line is both languages.
_SHEBANG = re.compile(r"""#! ?(?:(/\S*python\S*)|/bin/sh\n'''exec' "?(/[^"\n]*python[^"\n ]*)"? "\$0")""")


def interpreter(executable: str) -> str | None:
    """The Python that a console script names; None if this is no such script."""
    with Path(executable).open("rb") as script:
        head = script.read(2048).decode(errors="replace")
    found = _SHEBANG.match(head)
    return (found[1] or found[2]) if found else None


def question(instance: Instance) -> str:
    """Workers with the same question get the same answer: an import of an application takes a second."""
    seen = ("executable", "app", "directory", "pool", "user", "group", "environment")
    return json.dumps([*(instance[option] for option in seen), sorted(instance["settings"])], sort_keys=True)


def ask(instance: Instance) -> Answer:
    """What the probe found; nothing where only a start can tell, because the command is a wrapper of the operator's."""
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
    """What keeps this application from running, each in a sentence."""
    if "slow" in answer:
        yield f"app {instance['app']!r} was still being imported after {TIMEOUT} s. Import less, or later."
    if "celery" in answer:
        yield f"executable {instance['executable']!r} has no working Celery: {answer['celery']}."
    if "executable" in answer:
        yield (
            f"executable {instance['executable']!r} can't be run by user {instance['user']}: {answer['executable']}."
            " Let that user read and execute the virtual environment."
        )
    if "pool" in answer:
        yield f"pool {instance['pool']} can't be used: {answer['pool']}. Install it beside Celery, or use another pool."
    if not answer.get("enters", True):
        yield f"directory {instance['directory']!r} can't be read by user {instance['user']}. Let that user in."
    elif "app" in answer:
        yield (
            f"app {instance['app']!r} can't be loaded in {instance['directory']} as user {instance['user']}:"
            f" {answer['app']}. Check app, directory and environment."
        )
    if answer.get("transport"):
        # Some transports fall over their missing library in words that don't name it. kombu's extras bear their names.
        yield (
            f"the broker's address needs a library that is not beside Celery ({answer['broker']})."
            f" Install it: {interpreter(instance['executable'])} -m pip install 'kombu[{answer['transport']}]'"
        )
    elif "broker" in answer:
        why = answer["broker"].rstrip(".")
        yield f"the broker {answer.get('uri', '')} does not answer: {why}. Start it, or mend its address."
    for setting, nearest in answer.get("unknown_settings", {}).items():
        advice = f"Did you mean {nearest!r}?" if nearest else "Use its lower-case name, such as task_acks_late."
        yield f"settings: Celery knows no setting {setting!r}. {advice}"


def warnings(instance: Instance, answer: Answer) -> Iterator[str]:
    """What may do harm although the application can run."""
    if not answer:
        yield (
            f"executable {instance['executable']!r} does not say which Python it uses,"
            " so application, broker and memory could not be checked. Only the start will tell."
        )
    if instance["settings"].get("task_reject_on_worker_lost", answer.get("requeues")):
        yield (
            "task_reject_on_worker_lost is set for all tasks. With task_acks_late, one that is too big for memory comes"
            " back for ever, unless the application counts its deliveries (docs/memory.md)."
        )


def _ask(python: str, instance: Instance) -> Answer:
    wish = {
        **{option: instance[option] for option in ("app", "directory", "pool")},
        "settings": sorted(set(instance["settings"]) - {"include"}),
        "timeout": BROKER_TIMEOUT,
        "mark": MARK,
    }
    identity = users.service_identity(instance["user"], instance["group"])
    variables = {name: str(value) for name, value in instance["environment"].items() if value is not None}
    result = subprocess.run(
        [python, "-c", inspect.getsource(probe_program), json.dumps(wish)],
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
    return {"app": (result.stderr.strip().splitlines() or [f"Python ended with {result.returncode}"])[-1]}


def _bare_environment(identity: users.Identity) -> dict[str, str]:
    """What systemd gives a service; PYTHONDONTWRITEBYTECODE because a look must leave no traces."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": identity.home,
        "USER": identity.name,
        "LOGNAME": identity.name,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
