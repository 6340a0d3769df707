# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers, in a service that was started by its own command line, whether it could run, and ends it. See probe.py.

A worker loads it by the name of the watchdog, after the application and the modules of `include`, and before the
worker's own start: nothing has been consumed, and no handler of worker_init has run. A beat calls scheduler() for its
scheduler: nothing has been sent or written.

Prints lines: the mark, then a JSON object. The first is the answer; the others are facts for the doctor.

Works with Python 3.9 and Celery 5.2, and later ones.
"""

import contextlib
import difflib
import errno
import gc
import importlib
import itertools
import json
import math
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from datetime import datetime, timedelta, timezone
from pathlib import Path

# ruff: noqa: PLC0415 -- Celery is imported by its own command first.

MOST_DATABASES = 20
MOST_SECONDS = 2**31
MOST_ENTRIES = 100  # of a schedule that are described


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


def look_at_broker(connect, timeout):
    answer = {}
    try:
        connection = connect(connect_timeout=timeout)
        _transport = connection.transport
        answer["uri"] = connection.as_uri()
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=timeout)
        connection.release()
    except Exception as error:
        answer["broker"] = describe(error)
        if "uri" not in answer:
            answer["transport"] = transport_in(error)
    return answer


def look_at_results(app, timeout):
    """Whether the result backend answers, if it is one that can simply be asked: Redis."""
    answer = {}
    if str(app.conf.result_backend).startswith(("redis", "sentinel")):
        app.conf.redis_socket_connect_timeout = app.conf.redis_socket_timeout = timeout
        try:
            backend = app._get_backend()  # not the one that the application may have made with other time-outs
            answer["results_uri"] = backend.as_uri()
            backend.client.ping()
        except Exception as error:
            answer["results"] = describe(error)
    return answer


def time_limits(app):
    """Seconds of the hard time limit of all tasks, and of the longest that one task has for itself; 0 if not set."""
    own = [seconds(task.time_limit) for task in app.tasks.values()]
    return [seconds(app.conf.task_time_limit), max(own, default=0)]


def seconds(limit):
    try:
        return min(max(0, math.ceil(limit or 0)), MOST_SECONDS)
    except (TypeError, ValueError, OverflowError):
        return 0  # not a limit to Celery either


def unknown_settings(names):
    from celery.app.defaults import NAMESPACES, flatten

    known = {name for name, _option in flatten(NAMESPACES)}
    return {name: nearest(name, known) for name in names if name not in known}


def look(request, app):
    import celery

    # systemd takes messages only from the process that it started.
    started = os.environ.get("SYSTEMD_EXEC_PID")
    return {
        "version": [int(number) for number in celery.__version__.split(".")[:2]],
        "child": started is not None and started != str(os.getpid()),
        "unknown_settings": unknown_settings(request["settings"]),
        "databases": databases(request["timeout"]) if request["check_databases"] else [],
    }


def look_at_worker(request, app, _found):
    return {
        **look_at_broker(app.connection_for_read, request["timeout"]),
        **look_at_results(app, request["timeout"]),
        "footprint": footprint(request["pool"]),
        "time_limits": time_limits(app),
    }


# --- A Django application's databases ---------------------------------------------------------------------------------


def databases(timeout):
    """Those that can't be used, as _preflight/databases.py wants them."""
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return []
    from django.db import connections

    found = {alias: (engine_of(alias), "unusable", "", f"no answer within {timeout} s") for alias in connections}
    found = dict(itertools.islice(found.items(), MOST_DATABASES))
    # In threads, as libraries may wait for ever.
    threads = [threading.Thread(target=look_at_database, args=(alias, found), daemon=True) for alias in found]
    for thread in threads:
        thread.start()
    until = time.monotonic() + timeout
    for thread in threads:
        thread.join(max(0, until - time.monotonic()))
    names = ("name", "engine", "state", "file", "why")
    return [dict(zip(names, (alias, *about))) for alias, about in sorted(found.items()) if about[1] != "usable"]


def engine_of(alias):
    from django.conf import settings

    return str(settings.DATABASES.get(alias, {}).get("ENGINE", "")).rpartition(".")[2]


def look_at_database(alias, found):
    from django.db import connections

    engine = engine_of(alias)
    state, file, why = "usable", "", ""
    try:
        connection = connections[alias]
        if connection.vendor == "sqlite":
            file = str(connection.settings_dict["NAME"])
            state, why = look_at_file(file)
        elif connection.vendor != "unknown":  # Django's dummy, if there are no DATABASES
            connection.ensure_connection()
            connection.close()
    except Exception as error:
        state, why = "unusable", describe(error)
    found[alias] = engine, state, file, why


def look_at_file(file):
    """Whether SQLite could write to a file: SQLite itself would create one that does not exist."""
    if ":memory:" in file or file.startswith("file:"):
        return "usable", ""
    try:
        os.close(os.open(file, os.O_RDWR | os.O_NONBLOCK))
    except FileNotFoundError:
        return "absent", ""
    except OSError as error:
        return "read_only" if error.errno == errno.EROFS else "denied", error.strerror
    directory = Path(file).resolve().parent
    if os.access(directory, os.W_OK | os.X_OK):
        return "usable", ""
    read_only = os.statvfs(directory).f_flag & os.ST_RDONLY
    return ("read_only", "Read-only file system") if read_only else ("denied", f"{directory}: Permission denied")


# --- A beat's schedule ------------------------------------------------------------------------------------------------


def look_at_beat(request, app, found):
    answer = {
        **look_at_broker(app.connection_for_write, request["timeout"]),
        **look_at_results(app, request["timeout"]),
        "footprint": [own("status", "RssAnon"), 0, 0],
        "scheduler": str(app.conf.beat_scheduler),
        "zone": str(app.timezone),
    }
    if any(database["state"] == "unusable" for database in found["databases"]):
        return answer
    try:
        entries = list(in_database(app, answer) if "django_celery_beat" in answer["scheduler"] else in_settings(app))
        ran = last_runs(request["schedule"])
        answer["entries"] = [about(app, entry, ran.get(entry.name)) for entry in entries[:MOST_ENTRIES]]
        answer["more_entries"] = max(0, len(entries) - MOST_ENTRIES)
    except Exception as error:
        answer["schedule"] = describe(error)
    return answer


def in_settings(app):
    from celery.beat import ScheduleEntry

    return [ScheduleEntry(**{**entry, "name": name, "app": app}) for name, entry in app.conf.beat_schedule.items()]


def in_database(app, answer):
    """Reads the tables of django-celery-beat, whose scheduler would also write the entries of beat_schedule to them."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor
    from django_celery_beat.models import PeriodicTask
    from django_celery_beat.schedulers import ModelEntry

    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    names = sorted(f"{migration.app_label}.{migration.name}" for migration, _backwards in missing)
    answer["tables"] = not any(name.startswith("django_celery_beat.") for name in names)
    answer["migrations"] = names[:5]
    if not answer["tables"]:
        return in_settings(app)
    stored = list(PeriodicTask.objects.all())
    names = {task.name for task in stored}
    entries = [ModelEntry(task, app=app) for task in stored if task.enabled]
    return entries + [entry for entry in in_settings(app) if entry.name not in names]


def last_runs(schedule):
    """When each entry of the schedule file of evenkeel_beat was last sent."""
    try:
        stored = pickle.loads(Path(f"{schedule}.pickle").read_bytes())  # noqa: S301 -- beat's own file
        return {name: entry.last_run_at for name, entry in stored["entries"].items()}
    except Exception:
        return {}  # there is none yet, or beat will set it aside


def about(app, entry, ran):
    from celery.utils.time import maybe_make_aware

    due, wait = entry.schedule.is_due(maybe_make_aware(ran or entry.last_run_at))
    # A missed one is sent at the start.
    moment = datetime.now(timezone.utc) + timedelta(seconds=0 if due else wait)
    options = {key: value for key, value in (entry.options or {}).items() if value is not None}
    route = app.amqp.router.route(
        {key: options[key] for key in ("queue", "exchange", "routing_key") if key in options}, entry.task
    )
    queue = route.get("queue")
    return {
        "name": str(entry.name),
        "task": str(entry.task),
        "known": entry.task in app.tasks,
        "queue": str(getattr(queue, "name", queue) or app.conf.task_default_queue),
        "next": moment.strftime("%Y-%m-%d %H:%M"),
        "next_local": moment.astimezone(app.timezone).strftime("%Y-%m-%d %H:%M"),
        "has_gap": has_gap(entry.schedule, app.timezone),
    }


def has_gap(schedule, zone):
    """Whether it is a crontab of several hours in a zone with summer time: it skips the hour that occurs twice."""
    if len(getattr(schedule, "hour", ())) < 2:
        return False
    zone = getattr(schedule, "tz", None) or zone
    year = datetime.now(timezone.utc).year
    return len({datetime(year, month, 1, tzinfo=timezone.utc).astimezone(zone).utcoffset() for month in (1, 7)}) > 1


# --- The answer -------------------------------------------------------------------------------------------------------


def answer(app, look_closer):
    request = json.loads(Path(__file__).with_name("request.json").read_text())
    try:
        found = look(request, app)
        found.update(look_closer(request, app, found))
    except BaseException as error:
        found = {"failed": describe(error)}
    say(request, found)
    with contextlib.suppress(BaseException):
        tell_facts({**request, "has_broker": "broker" not in found}, app)
    os._exit(0)


def say(request, found):
    # Not by sys.stdout, which the application may have replaced.
    os.set_blocking(1, True)  # or a full pipe is an error
    line = f"\n{request['mark']}{json.dumps(found)}\n".encode()
    while line:
        line = line[os.write(1, line) :]


def tell_facts(request, app):
    """For the doctor. Has to end in time: the kernel sees to it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, request["facts_timeout"])
    importlib.import_module("evenkeel_facts").tell(
        request, app, lambda section, facts: say(request, {"facts": {section: facts}})
    )


def scheduler(app, **_options):
    """What a beat calls for its scheduler."""
    answer(app, look_at_beat)


if __name__ == "evenkeel_watchdog":
    import click

    answer(click.get_current_context().obj.app, look_at_worker)
