# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the application's own Python, as the application's user: celery_client sends its text there.

Its first line of input says which application, as JSON; each further one is a question, answered with one line.
"""

from __future__ import annotations

import json
import os
import sys

# In the order of a task's way: none slips through between two questions.
QUESTIONS = {"scheduled": "has scheduled it", "reserved": "has reserved it", "active": "is executing it"}


def main():
    wish = json.loads(sys.stdin.readline())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the application prints is no answer

    def answer(**data):
        answers.write(json.dumps(data, default=str) + "\n")
        answers.flush()

    sys.path.insert(0, wish["directory"])
    try:
        app = load(wish["app"])
    except BaseException as error:  # pylint: disable=broad-exception-caught
        answer(error=words(error))
        sys.exit(1)
    answer(ready=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer(**(busy(app, wish) if asked == "busy" else send(app, wish, asked)))
        except Exception as error:  # pylint: disable=broad-exception-caught
            answer(error=words(error))


def load(name):
    from celery.app.utils import find_app  # noqa: PLC0415 -- only the application's Python has it

    app = find_app(name)
    app.loader.import_default_modules()
    return app


def busy(app, wish):
    """What the workers have scheduled, reserved or are executing."""
    nodes, found = wish["workers"], {}
    # Once we know who is there, we wait for their answers only, not for the whole time-out.
    for question, doing in QUESTIONS.items():
        inspect = app.control.inspect(destination=nodes or None, limit=len(nodes) or None, timeout=wish["timeout"])
        replies = getattr(inspect, question)() or {}
        silent = sorted(set(nodes) - set(replies))
        if silent or not replies:
            who = f"no answer from {', '.join(silent)}" if silent else "no worker answered"
            return {"error": f"{who} within {wish['timeout']:g} s"}
        nodes = sorted(replies)
        for node, tasks in replies.items():
            for entry in tasks:
                task = entry.get("request", entry)
                for value in [task["id"], *values(task.get("args")), *values(task.get("kwargs"))]:
                    found[value] = f"{node} {doing} (task {task['id']})"
    return {"busy": found}


def send(app, wish, tasks):
    """Sends these tasks, in this order."""
    sent = 0
    try:
        with app.connection_for_write(connect_timeout=wish["timeout"]) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=wish["timeout"])
            for task in tasks:
                app.send_task(connection=connection, retry=False, **task)
                sent += 1
    except Exception as error:  # pylint: disable=broad-exception-caught
        return {"sent": sent, "error": words(error)}
    return {"sent": sent}


def values(thing):
    """All values in arguments, at any depth, as text."""
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, (list, tuple)):
        return [value for item in thing for value in values(item)]
    return [str(thing)]


def words(error):
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"


if __name__ == "__main__":
    main()
