# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the application's own interpreter, as the worker's user, and checks whether a worker could run. See probe.py.

Prints one line: the answer's mark, then a JSON object. Works with Python 3.9 and Celery 5.2, and later ones.
"""

import difflib
import gc
import importlib
import json
import os
import sys
import traceback
from pathlib import Path

# ruff: noqa: PLC0415 -- imports are tried one by one, and a failure is reported.


def describe(error):
    """An exception in one line."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"


def nearest(name, names):
    return (difflib.get_close_matches(name, names, 1) or [None])[0]


def transport_in(error):
    """The kombu transport that raised the error."""
    names = [frame.f_globals["__name__"] for frame, _line in traceback.walk_tb(error.__traceback__)]
    return next((name.split(".")[2].lower() for name in names if name.startswith("kombu.transport.")), None)


def own(file, name):
    """The bytes of an entry in a file of /proc/self."""
    lines = Path("/proc/self", file).read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def footprint(pool):
    """The memory of the main process and a child before their first task, as Footprint in _celery/memory.py has it."""
    from celery.concurrency import get_implementation

    for module in ("celery.bin.celery", "celery.apps.worker", "celery.worker.consumer"):
        importlib.import_module(module)
    get_implementation(pool)
    main = own("status", "RssAnon")
    if pool != "prefork":
        return [main, 0, 0]
    reader, writer = os.pipe()
    if not os.fork():
        try:
            gc.collect()  # writes to every object's header, as a task does, so that those pages are no longer shared
            os.write(writer, json.dumps([main, own("smaps_rollup", "Private_Dirty"), own("status", "VmHWM")]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    return json.loads(os.read(reader, 100))


def look_at_broker(app, timeout, answer):
    try:
        connection = app.connection_for_read(connect_timeout=timeout)
        _transport = connection.transport
        answer["uri"] = connection.as_uri()
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=timeout)
        connection.release()
    except Exception as error:
        answer["broker"] = describe(error)
        if "uri" not in answer:
            answer["transport"] = transport_in(error)


def look(request):
    answer = {}
    try:
        from celery.app.defaults import NAMESPACES, flatten
        from celery.app.utils import find_app
    except Exception as error:
        return {"celery": describe(error)}
    known = {name for name, _option in flatten(NAMESPACES)}
    answer["unknown_settings"] = {name: nearest(name, known) for name in request["settings"] if name not in known}
    if request["pool"] in ("gevent", "eventlet"):
        try:
            importlib.import_module(request["pool"])
        except Exception as error:
            answer["pool"] = describe(error)
    answer["enters"] = os.access(request["directory"], os.R_OK | os.X_OK)
    try:
        app = find_app(request["app"])
        app.loader.import_default_modules()
    except BaseException as error:
        answer["app"] = describe(error)
        return answer
    look_at_broker(app, request["timeout"], answer)
    answer["requeues"] = app.conf.task_reject_on_worker_lost
    if "pool" not in answer:
        answer["footprint"] = footprint(request["pool"])
    return answer


if __name__ == "__main__":
    REQUEST = json.loads(sys.argv[1])
    sys.path.insert(0, REQUEST["directory"])
    sys.stdout.write("\n" + REQUEST["mark"] + json.dumps(look(REQUEST)) + "\n")
