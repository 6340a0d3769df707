# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an application, in its own interpreter and as its own user, whether a worker of it could run.

The probe loads the application as `celery -A` does, and connects to its broker once.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
from pathlib import Path
from typing import Any, Iterator

from ansible_collections.evenkeel.celery.plugins.module_utils.celery_unit import Instance

TIMEOUT = 60  # seconds for an application to be imported, and for its broker to answer
BROKER_TIMEOUT = 5

_ANSWER = "evenkeel-probe:"
_PROBE = """
import importlib, json, sys
wish = json.loads(sys.argv[1])
sys.path.insert(0, wish["directory"])
answer = {}
def last_words(error):
    return "%s: %s" % (type(error).__name__, str(error).strip().splitlines()[0] if str(error).strip() else "")
try:
    import celery
    from celery.app.defaults import NAMESPACES, flatten
    from celery.app.utils import find_app
    answer["unknown_settings"] = sorted(set(wish["settings"]) - {name for name, _ in flatten(NAMESPACES)})
    if wish["pool"] in ("gevent", "eventlet"):
        importlib.import_module(wish["pool"])
except Exception as error:
    answer["celery"] = last_words(error)
else:
    try:
        app = find_app(wish["app"])
        app.loader.import_default_modules()
    except BaseException as error:
        answer["app"] = last_words(error)
    else:
        try:
            with app.connection_for_read(connect_timeout=wish["timeout"]) as connection:
                answer["uri"] = connection.as_uri()
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=wish["timeout"])
        except Exception as error:
            answer["broker"] = last_words(error)
print("\\n" + wish["answer"] + json.dumps(answer))
"""


def interpreter(executable: str) -> str | None:
    """The Python that a console script names in its first line; None if this is no such script."""
    with Path(executable).open("rb") as script:
        first = script.readline(512).decode(errors="replace")
    found = re.match(r"#!\s*(\S*python\S*)", first)
    return found[1] if found else None


def problems(instance: Instance) -> Iterator[str]:
    """What keeps this application from running, each in a sentence."""
    python = interpreter(instance["executable"])
    if python is None:
        return  # a wrapper of the operator's own: only a start can tell
    try:
        answer = _ask(python, instance)
    except subprocess.TimeoutExpired:
        yield f"app {instance['app']!r} was still being imported after {TIMEOUT} s. Import less, or later."
        return
    if "celery" in answer:
        yield f"executable {instance['executable']!r} has no working Celery: {answer['celery']}."
    if "app" in answer:
        yield (
            f"app {instance['app']!r} can't be loaded in {instance['directory']} as user {instance['user']}:"
            f" {answer['app']}. Check app, directory and environment."
        )
    if "broker" in answer:
        yield f"the broker {answer.get('uri', '')} does not answer: {answer['broker']}. Start it, or mend its address."
    for setting in answer.get("unknown_settings", []):
        yield f"settings: Celery knows no setting {setting!r}. Use its lower-case name, such as task_acks_late."


def _ask(python: str, instance: Instance) -> dict[str, Any]:
    wish = {
        **{option: instance[option] for option in ("app", "directory", "pool")},
        "settings": sorted(instance["settings"]),
        "timeout": BROKER_TIMEOUT,
        "answer": _ANSWER,
    }
    command = [python, "-c", _PROBE, json.dumps(wish)]
    if pwd.getpwnam(instance["user"]).pw_uid != os.geteuid():
        command = ["runuser", "--user", instance["user"], "--", *command]
    result = subprocess.run(
        command,
        cwd=instance["directory"],
        env={**_bare_environment(instance["user"]), **{k: str(v) for k, v in instance["environment"].items()}},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    for line in reversed(result.stdout.splitlines()):
        if line.startswith(_ANSWER):
            return json.loads(line[len(_ANSWER) :])
    said = result.stderr.strip().splitlines()
    return {"app": said[-1] if said else f"Python ended with {result.returncode}"}


def _bare_environment(user: str) -> dict[str, str]:
    """What systemd gives a service; PYTHONDONTWRITEBYTECODE because a look must leave no traces."""
    home = pwd.getpwnam(user).pw_dir
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        "PATH": path,
        "HOME": home,
        "USER": user,
        "LOGNAME": user,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
