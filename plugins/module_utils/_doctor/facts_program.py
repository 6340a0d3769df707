# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells, in a service that was started by its own command line, what the doctor's rules are about. See facts.py.

probe_program.py calls tell() after it has answered. No task is consumed or sent; workers are asked by Celery's remote
control, as `celery inspect` does. Each section is told as soon as it is known, so that one that fails or waits for ever
takes only itself, and those after it, along.

Works with Python 3.9 and Celery 5.2, and later ones.
"""

import contextlib
import importlib
import itertools
import json
import math
import re
import sys
import time

# ruff: noqa: PLC0415 -- Celery is imported by its own command first.

LONGEST = 60_000  # characters of a section, which is one line of the answer
SECONDS = 4  # for Redis to answer
MOST_TASKS = 2000  # whose routes are looked at
MOST_QUEUES = 100
MOST_SCANS = 20  # of 1000 keys each
MOST_KEYS = 200  # whose type is looked at
# Parts of the names of Celery's keys, as each application may put a prefix before its own.
OF_CELERY = (
    *("_kombu.", "unacked", "celery-task-meta-", "celery-taskset-meta-", "chord-unlock-"),
    *("celery_beat_lock", "redbeat", "evenkeel"),
)


def tell(request, app, say):
    """request: what probe.py asks, and whether the broker has answered. say: takes a section's name and its facts."""
    of_broker = {**OF_BROKER, **importlib.import_module("evenkeel_broker").SECTIONS} if request["has_broker"] else {}
    for name, section in {**SECTIONS, **of_broker}.items():
        facts = {}
        with contextlib.suppress(Exception):
            for fact, value in section(request, app):
                json.dumps(value, allow_nan=False)  # or it can't be told
                facts[fact] = value
        if len(json.dumps(facts)) < LONGEST:
            say(name, facts)


# --- Settings ---------------------------------------------------------------------------------------------------------


def settings(request, app):
    """The effective ones, of the application, its environment and the service's own command together."""
    tasks = [task for name, task in app.tasks.items() if not name.startswith("celery.")]
    conf = app.conf
    for part in (
        lambda: of_tasks(tasks, conf),
        lambda: of_time_limits(tasks, conf),
        lambda: of_worker(conf),
        lambda: of_broker(app),
        lambda: of_results(app, tasks),
        lambda: of_nodes(request["nodes"]),
        lambda: of_queues(app, tasks),
    ):
        with contextlib.suppress(Exception):
            yield from part()


def of_tasks(tasks, conf):
    again = {task.name for task in tasks if retried(task)}
    forever = {task.name for task in tasks if retried(task) and task.max_retries is None}
    late = {task.name for task in tasks if task.acks_late} - again | forever
    requeued = {task.name for task in tasks if task.reject_on_worker_lost} - again | forever
    yield "tasks", len(tasks)
    yield "late", len(late)
    yield "requeued", len(requeued)
    yield "late_requeued", len(late & requeued)
    yield "eager", bool(conf.task_always_eager)


def retried(task):
    """Whether a task is sent again if its process is lost, up to max_retries times: Celery 5.7 and later."""
    return bool(getattr(task, "retry_on_worker_lost", None))


def of_time_limits(tasks, conf):
    late = [task for task in tasks if task.acks_late]
    yield "limit", limit_of(conf.task_time_limit, conf.task_soft_time_limit)
    for name, some in (("own_limit", tasks), ("late_own_limit", late)):
        yield name, max((limit_of(task.time_limit, task.soft_time_limit) for task in some), default=0)
    own = [task for task in late if limit_of(task.time_limit, task.soft_time_limit)]
    yield "late_without_own_limit", len(own) < len(late)


def limit_of(hard, soft):
    """Seconds after which a task ends: the hard limit, or the soft one if there is no other; 0 if there is none."""
    return seconds(hard) or seconds(soft)


def seconds(limit):
    try:
        return max(0, math.ceil(limit or 0))
    except (TypeError, ValueError, OverflowError):
        return 0  # not a limit to Celery either


def of_worker(conf):
    yield "prefetch", int(conf.worker_prefetch_multiplier)
    yield "accepted", sorted(map(str, conf.accept_content))


def of_broker(app):
    connection = app.connection_for_read()
    transport = connection.transport
    yield "transport", transport.driver_type
    if transport.driver_type == "redis":  # to SQS, each queue's own value counts, which the settings don't tell
        default = transport.Channel.visibility_timeout
        yield "visibility_timeout", seconds(connection.transport_options.get("visibility_timeout")) or default
        yield "disable_prefetch", bool(app.conf.get("worker_disable_prefetch"))


def of_results(app, tasks):
    backend = app.backend
    kind = type(backend).__module__.rpartition(".")[2]
    if type(backend).__name__ == "DisabledBackend":
        kind = "disabled"
    yield "results", kind
    if kind != "disabled":
        yield "storing", sum(not task.ignore_result for task in tasks)
        yield "results_expire", seconds(backend.expires)  # 0: never


def of_nodes(names):
    from celery.utils.nodenames import default_nodename, host_format

    yield "nodes", {name: host_format(default_nodename(name)) for name in names}


def of_queues(app, tasks):
    given = app.conf.task_queues
    names = [getattr(queue, "name", queue) for queue in given] if given else [app.conf.task_default_queue]
    yield "default_queue", str(app.conf.task_default_queue)
    yield "default_queues", list(map(str, names))[:MOST_QUEUES]
    if len(tasks) <= MOST_TASKS:
        from celery.app.task import extract_exec_options

        routes = {}
        for task in tasks:
            with contextlib.suppress(Exception):  # a router of the application's may need the arguments of a task
                options = {name: value for name, value in extract_exec_options(task).items() if value is not None}
                queue = app.amqp.router.route(options, task.name).get("queue") or app.conf.task_default_queue
                routes.setdefault(str(getattr(queue, "name", queue)), task.name)
        yield "routes", dict(list(routes.items())[:MOST_QUEUES])


# --- Versions ---------------------------------------------------------------------------------------------------------


def versions(_request, _app):
    for name in ("celery", "kombu", "redis", "amqp"):
        with contextlib.suppress(ImportError):
            yield name, importlib.import_module(name).__version__


# --- Brokers ----------------------------------------------------------------------------------------------------------


def rabbitmq(_request, app):
    connection = app.connection_for_read(connect_timeout=SECONDS)
    if connection.transport.driver_type == "amqp":
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=SECONDS)
        properties = connection.connection.server_properties
        if properties["product"] == "RabbitMQ":
            yield "version", properties["version"]


def redis(_request, app):
    options = {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
    connection = app.connection_for_read(connect_timeout=SECONDS, transport_options=options)
    if connection.transport.driver_type != "redis":
        return
    client = connection.default_channel.client
    for part in (
        lambda: clock(client),
        lambda: server(client),
        lambda: snapshots(client),
        lambda: neighbours(app, client),
        lambda: keys(app, connection.default_channel, client),
    ):
        with contextlib.suppress(Exception):
            yield from part()


def clock(client):
    """Seconds by which the server's clock is ahead of ours: it is between these two."""
    before = time.time()
    whole, micro = client.time()
    after = time.time()
    there = whole + micro / 1e6
    yield "clock", [round(there - after, 3), round(there - before, 3)]


def server(client):
    info = client.info()
    names = {
        "version": "redis_version",
        "run": "run_id",
        "memory": "used_memory",
        "max_memory": "maxmemory",
        "policy": "maxmemory_policy",
        "evicted": "evicted_keys",
    }
    for name, field in names.items():
        if field in info:
            yield name, info[field] if isinstance(info[field], (int, float)) else str(info[field])
    if "aof_enabled" in info:
        yield "append_only", bool(info["aof_enabled"])
    failed = [name for name in ("rdb_last_bgsave_status", "aof_last_write_status") if info.get(name) == "err"]
    yield "failed_to_save", bool(failed)


def snapshots(client):
    """Whether it ever saves a snapshot. Managed servers often don't tell."""
    yield "snapshots", bool(client.config_get("save")["save"].strip())


def place(parameters):
    """Which server and database the parameters of a connection lead to; None if that can't be told."""
    host, path = parameters.get("host"), parameters.get("path")
    if not host and not path:
        return None
    at = path or ("127.0.0.1" if host in ("localhost", "::1") else host, int(parameters.get("port") or 6379))
    return at, int(parameters.get("db") or 0)


def neighbours(app, client):
    """What else is kept on the broker's server, and in its database."""
    broker = place(client.connection_pool.connection_kwargs)
    if not broker:
        return
    results = place(getattr(app.backend, "connparams", None) or {})
    if results:
        yield "has_results", results[0] == broker[0]
    yield "caches", sorted(alias for alias, there in django_caches() if there == broker)


def django_caches():
    """The caches of a Django application that are on Redis."""
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return
    from redis.connection import parse_url

    for alias, cache in conf.settings.CACHES.items():
        locations, options = cache.get("LOCATION") or (), cache.get("OPTIONS") or {}
        # Django hands its options to the connection, django-redis those within. What the URL says wins.
        given = {**options, **(options.get("CONNECTION_POOL_KWARGS") or {})}
        for location in re.split("[;,]", locations) if isinstance(locations, str) else locations:
            with contextlib.suppress(ValueError, TypeError):
                yield str(alias), place({**given, **parse_url(location)})


def keys(app, channel, client):
    """How many single values there are in the broker's database that are not Celery's. Queues are lists."""
    prefixes = [
        prefix.decode()
        for kind in ("task", "group", "chord")
        for prefix in [getattr(app.backend, f"{kind}_keyprefix", None)]
        if prefix
    ]
    own = (*OF_CELERY, *prefixes)
    plain = importlib.import_module("redis").Redis(connection_pool=channel.pool)  # kombu's own adds the prefix
    cursor, others = 0, []
    for _at_most in range(MOST_SCANS):
        cursor, found = plain.scan(cursor, count=1000)
        names = (key.decode(errors="replace") for key in found)
        others += [key for key, name in zip(found, names) if not any(part in name for part in own)]
        if not cursor:
            break
    pipeline = plain.pipeline(transaction=False)
    for key in itertools.islice(others, MOST_KEYS):
        pipeline.type(key)
    yield "others", sum(kind == b"string" for kind in pipeline.execute())


SECTIONS = {"settings": settings, "versions": versions}
OF_BROKER = {"rabbitmq": rabbitmq, "redis": redis}
