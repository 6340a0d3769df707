# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the application's own Python, as the owner of the database: celery_client passes its text to that Python.

The first line of input describes the application, as JSON. Each further line is a request, answered with one line.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

# In the order in which a task passes through a worker, so that none is missed between two questions.
QUESTIONS = {"scheduled": "has scheduled it", "reserved": "has reserved it", "active": "is executing it"}
EVERYBODY = 1_000_000  # replies; without a limit, Celery stops after one for each named node
PATCHING = "gevent", "eventlet"  # the pools that replace parts of Python's library
GRACE = 1.0  # seconds that a second worker of the same name has to answer, at least
REMEDY = "Give each worker a different name (celery worker -n, node_name in celery_worker_instances)"


class Unsure(Exception):
    """The replies are not enough to know what all workers are doing."""


def main():
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)  # as for a service: what the application reads must not be a request
    os.dup2(2, 1)  # the application's own output must not mix with the answers
    setup = json.loads(requests.readline())

    def answer(**data):
        answers.write(json.dumps(data, default=str) + "\n")
        answers.flush()

    try:
        app = load(setup)
    except BaseException as error:  # pylint: disable=broad-exception-caught
        answer(error=with_advice(in_one_line(error), setup["pool"]))
        raise SystemExit(1) from error
    answer(ready=True)
    for line in requests:
        request = json.loads(line)
        try:
            if request == "tasks":
                answer(**known_tasks(app, setup["workers"], setup["timeout"]))
            else:
                answer(**send(app, request, setup["timeout"]))
        except Exception as error:  # pylint: disable=broad-exception-caught
            answer(error=in_one_line(error))


def load(setup):
    """The application, as its workers' command loads it: `celery -A app worker --pool=pool`, in its directory.

    Celery is imported first: a module of the application's may be called celery, as its docs once had it.
    """
    directory, command = setup["directory"], Path(setup["python"]).with_name("celery")
    sys.argv = [str(command), "-A", setup["app"], "worker", f"--pool={setup['pool']}"]  # some applications look at it
    with contextlib.suppress(ImportError):
        importlib.import_module("celery")
    # Before anything else is imported, so that gevent or eventlet has replaced what that imports.
    getattr(sys.modules.get("celery"), "maybe_patch_concurrency", list)(sys.argv)
    with contextlib.suppress(ImportError):
        importlib.import_module("celery.app.utils")
    os.chdir(directory)
    sys.path.insert(0, directory)
    from celery.app.utils import find_app  # noqa: PLC0415 -- only the application's Python has it

    app = find_app(setup["app"])
    app.conf.update(setup["settings"])
    app.loader.import_default_modules()
    return app


def with_advice(error, pool):
    """What to do about an application that wants to be imported in another pool."""
    if pool not in PATCHING and any(word in error for word in (*PATCHING, "monkey")):
        return f"{error} (celery.pool is {pool}: set it to the pool of the workers)"
    return error


def known_tasks(app, named, timeout):
    """What the workers have scheduled, have reserved or are executing.

    tasks: which worker does what, by the task's id and by each of its arguments, as text.
    warnings: sentences for the operator.
    error: why the workers' replies can't be relied on.
    """
    workers, tasks = Workers(app, named, timeout), {}
    try:
        workers.find()
        if not named:
            workers.keep_our_own()
        for question, doing in QUESTIONS.items():
            for node, entries in workers.ask(question):
                for entry in entries:
                    task = entry.get("request", entry)
                    for value in [task["id"], *texts(task.get("args")), *texts(task.get("kwargs"))]:
                        tasks[value] = f"{node} {doing} (task {task['id']})"
    except Unsure as error:
        return {"error": str(error)}
    return {"tasks": tasks, "warnings": workers.warnings}


class Workers:
    """The workers of an application, with how many there are of each name.

    named: the nodes that have to answer; if empty, all that do answer.
    timeout: seconds that they have to answer.
    """

    def __init__(self, app, named, timeout):
        self._app, self._named, self._timeout = app, named, timeout
        self._nodes = Counter()  # how many workers have each name

    def find(self):
        """Finds the workers. It asks twice, as two workers of one name may share a mailbox and answer by turns."""
        begun = time.monotonic()
        first = processes(self._replies("stats", self._named, len(self._named) or EVERYBODY, self._timeout))
        if self._named:
            # The named ones have answered. Further workers of the same names get as much time again.
            grace = min(self._timeout, max(GRACE, time.monotonic() - begun))
            found = processes(self._replies("stats", self._named, EVERYBODY, grace))
        elif first:
            found = processes(self._replies("stats", names(first), sum(first.values()), self._timeout))
        else:
            raise Unsure(
                f"no worker answered within {self._timeout:g} s; none can with worker_enable_remote_control: false, or"
                " a broker such as SQS"
            )
        silent = sorted(set(self._named) - set(names(first + found)))
        if silent:
            raise Unsure(f"no answer from {', '.join(silent)} within {self._timeout:g} s")
        gone = names(first - found)
        if gone:
            raise Unsure(
                f"{', '.join(gone)}: the second answer came from another process than the first. The worker was"
                f" restarted just now (try again), or several workers share the name. {REMEDY}"
            )
        self._nodes = Counter(node for node, _process in found.elements())

    @property
    def warnings(self):
        return [f"{count} workers share the name {node}. {REMEDY}" for node, count in self._nodes.items() if count > 1]

    def keep_our_own(self):
        """Leaves out workers of other applications, which may use the same broker and answer too."""
        own = {name for name in self._app.tasks if not name.startswith("celery.")}
        if not own:  # for example, an application that only sends tasks by their names
            return
        # The name of a task with a rate limit is followed by " [rate_limit=…]".
        ours = {node for node, tasks in self.ask("registered") if own & {task.split(" [")[0] for task in tasks}}
        if not ours:
            others = ", ".join(sorted(self._nodes))
            raise Unsure(f"only workers of other applications answered, with none of this one's tasks: {others}")
        self._nodes = Counter({node: count for node, count in self._nodes.items() if node in ours})

    def ask(self, question, kind=list):
        """Each worker's reply to a question, as pairs of a node's name and a list (or `kind`). Raises Unsure."""
        replies = self._replies(question, sorted(self._nodes), sum(self._nodes.values()), self._timeout)
        missing = self._nodes - Counter(node for node, _reply in replies)
        for node in sorted(missing):
            if self._nodes[node] > 1:
                raise Unsure(
                    f"{self._nodes[node]} workers share the name {node}, and not all of them answered"
                    f" ({question}) within {self._timeout:g} s. {REMEDY}"
                )
            raise Unsure(f"{node} answered first, but not when it was asked for {question} within {self._timeout:g} s")
        for node, reply in replies:
            if not isinstance(reply, kind) or (kind is dict and "error" in reply):
                error = reply.get("error", reply) if isinstance(reply, dict) else reply
                raise Unsure(f"{node} answered with an error when it was asked for {question}: {error}")
        return replies

    def _replies(self, question, nodes, limit, timeout):
        """The replies of all workers. Celery's inspect() would keep only one reply for each name."""
        found = self._app.control.broadcast(
            question, destination=nodes or None, reply=True, limit=limit, timeout=timeout
        )
        return [pair for each in found or () for pair in each.items()]


def processes(replies):
    """How many workers answered, by node name and process ID."""
    return Counter((node, reply.get("pid")) for node, reply in replies)


def names(found):
    return sorted({node for node, _process in found})


def send(app, tasks, timeout):
    """Sends these tasks, in this order, once the workers are told to drop those that they replace (`revoke`).

    Returns how many were sent, and an error if not all were.
    """
    sent = 0
    try:
        with app.connection_for_write(connect_timeout=timeout) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=timeout)
            replaced = [each for task in tasks for each in task.pop("revoke", ())]
            if replaced:
                app.control.revoke(replaced, connection=connection)
            for task in tasks:
                app.send_task(connection=connection, retry=False, **task)
                sent += 1
    except Exception as error:  # pylint: disable=broad-exception-caught
        return {"sent": sent, "error": in_one_line(error)}
    return {"sent": sent}


def texts(arguments):
    """All values among a task's arguments, at any depth, as text."""
    if isinstance(arguments, dict):
        arguments = list(arguments.values())
    if isinstance(arguments, (list, tuple)):
        return [text for value in arguments for text in texts(value)]
    return [str(arguments)]


def in_one_line(error):
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"


if __name__ == "__main__":
    main()
