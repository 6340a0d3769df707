# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an application, in its own interpreter and as its own user, whether a worker of it could run.

The probe loads the application as `celery -A` does, connects to its broker once, and measures what main process and
children have in memory before their first task.
"""

from __future__ import annotations

import grp
import json
import pwd
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator

from ansible_collections.evenkeel.celery.plugins.module_utils.celery_unit import Instance

Answer = Dict[str, Any]

TIMEOUT = 60  # seconds for an application to be imported, and for its broker to answer
BROKER_TIMEOUT = 5

# Where a path is too long for a first line, pip lets a shell start Python: the second line is both languages.
_SHEBANG = re.compile(r"""#! ?(?:(/\S*python\S*)|/bin/sh\n'''exec' "?(/[^"\n]*python[^"\n ]*)"? "\$0")""")
_ANSWER = "evenkeel-probe:"
_PROBE = """
import difflib, gc, importlib, json, os, sys, traceback
wish = json.loads(sys.argv[1])
sys.path.insert(0, wish["directory"])
answer = {}
def last_words(error):
    return "%s: %s" % (type(error).__name__, str(error).strip().splitlines()[0] if str(error).strip() else "")
def nearest(name, names):
    return (difflib.get_close_matches(name, names, 1) or [None])[0]
def transport_in(error):
    names = [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next((name.split(".")[2].lower() for name in names if name.startswith("kombu.transport.")), None)
def own(file, name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/" + file) if line.startswith(name + ":"))
def footprint():
    from celery.concurrency import get_implementation
    for module in ("celery.bin.celery", "celery.apps.worker", "celery.worker.consumer"):
        importlib.import_module(module)
    get_implementation(wish["pool"])
    main = own("status", "RssAnon")
    if wish["pool"] != "prefork":
        return [main, 0, 0]
    reader, writer = os.pipe()
    if not os.fork():
        try:
            gc.collect()  # writes to every object's head, as work does: from then on these pages are the child's own
            os.write(writer, json.dumps([main, own("smaps_rollup", "Private_Dirty"), own("status", "VmHWM")]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    return json.loads(os.read(reader, 100))
try:
    from celery.app.defaults import NAMESPACES, flatten
    from celery.app.utils import find_app
except Exception as error:
    answer["celery"] = last_words(error)
else:
    known = {name for name, _ in flatten(NAMESPACES)}
    answer["unknown_settings"] = {name: nearest(name, known) for name in wish["settings"] if name not in known}
    if wish["pool"] in ("gevent", "eventlet"):
        try:
            importlib.import_module(wish["pool"])
        except Exception as error:
            answer["pool"] = last_words(error)
    answer["enters"] = os.access(wish["directory"], os.R_OK | os.X_OK)
    try:
        app = find_app(wish["app"])
        app.loader.import_default_modules()
    except BaseException as error:
        answer["app"] = last_words(error)
    else:
        try:
            connection = app.connection_for_read(connect_timeout=wish["timeout"])
            connection.transport
            answer["uri"] = connection.as_uri()
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=wish["timeout"])
            connection.release()
        except Exception as error:
            answer["broker"] = last_words(error)
            if "uri" not in answer:
                answer["transport"] = transport_in(error)
        answer["requeues"] = app.conf.task_reject_on_worker_lost
        if "pool" not in answer:
            answer["footprint"] = footprint()
print("\\n" + wish["answer"] + json.dumps(answer))
"""


def interpreter(executable: str) -> str | None:
    """The Python that a console script names; None if this is no such script."""
    with Path(executable).open("rb") as script:
        head = script.read(2048).decode(errors="replace")
    found = _SHEBANG.match(head)
    return (found[1] or found[2]) if found else None


def ask(instance: Instance) -> Answer:
    """What the probe found; nothing where only a start can tell, because the command is a wrapper of the operator's."""
    python = interpreter(instance["executable"])
    if python is None:
        return {}
    try:
        return _ask(python, instance)
    except subprocess.TimeoutExpired:
        return {"slow": True}


def problems(instance: Instance, answer: Answer) -> Iterator[str]:
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


def remarks(instance: Instance, answer: Answer) -> Iterator[str]:
    """What is odd about an application that can run."""
    if not answer:
        yield (
            f"executable {instance['executable']!r} does not say which Python it uses,"
            " so application, broker and memory could not be looked at. The start will tell."
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
        "answer": _ANSWER,
    }
    command = [*as_user(instance), python, "-c", _PROBE, json.dumps(wish)]
    variables = {name: str(value) for name, value in instance["environment"].items() if value is not None}
    result = subprocess.run(
        command,
        cwd=instance["directory"],
        env={**_bare_environment(instance["user"]), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    for line in reversed(result.stdout.splitlines()):
        if line.startswith(_ANSWER):
            return json.loads(line[len(_ANSWER) :])
    said = (result.stderr.strip().splitlines() or [f"Python ended with {result.returncode}"])[-1]
    return {"executable" if said.startswith("env: ") else "app": said}


def as_user(instance: Instance) -> list[str]:
    """What to put before a command that is to run as the worker's user and group."""
    # Unlike runuser and sudo, setpriv becomes the command, so that a time-out ends the command itself. It gives up
    # root's rights only when it starts a program: that is env, which then may start no more than the user may.
    user = pwd.getpwnam(instance["user"])
    group = grp.getgrnam(instance["group"]).gr_gid if instance["group"] else user.pw_gid
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={group}", "--init-groups", "--", "env"]


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
