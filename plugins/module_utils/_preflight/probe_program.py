# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers, in a worker that was started by its own command line, whether it could run, and ends it. See probe.py.

The worker loads it by the name of the watchdog, after the application and the modules of `include`, and before the
worker's own start: nothing has been consumed, and no handler of worker_init has run.

Prints one line: the mark, then a JSON object. Works with Python 3.9 and Celery 5.2, and later ones.
"""

import difflib
import gc
import importlib
import json
import os
import traceback
from pathlib import Path

# ruff: noqa: PLC0415 -- Celery is imported by its own command first.


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

    importlib.import_module("celery.worker.consumer")
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


def look_at_broker(app, timeout):
    answer = {}
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
    return answer


def unknown_settings(names):
    from celery.app.defaults import NAMESPACES, flatten

    known = {name for name, _option in flatten(NAMESPACES)}
    return {name: nearest(name, known) for name in names if name not in known}


def look(request):
    import click

    app = click.get_current_context().obj.app
    # systemd takes messages only from the process that it started.
    started = os.environ.get("SYSTEMD_EXEC_PID")
    return {
        "child": started is not None and started != str(os.getpid()),
        "unknown_settings": unknown_settings(request["settings"]),
        **look_at_broker(app, request["timeout"]),
        "requeues": bool(app.conf.task_reject_on_worker_lost),
        "footprint": footprint(request["pool"]),
    }


def main():
    request = json.loads(Path(__file__).with_name("request.json").read_text())
    try:
        answer = look(request)
    except BaseException as error:
        answer = {"failed": describe(error)}
    # Not by sys.stdout, which the application may have replaced.
    os.write(1, f"\n{request['mark']}{json.dumps(answer)}\n".encode())
    os._exit(0)


if __name__ == "evenkeel_watchdog":
    main()
