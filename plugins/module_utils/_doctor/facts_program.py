# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells, in a service that was started by its own command line, what the doctor's rules are about. See facts.py.

probe_program.py calls tell() after it has answered. Reads only: nothing is consumed, declared or written. Each section
is told as soon as it is known, so that one that fails or waits for ever takes only itself, and those after it, along.

Works with Python 3.9 and Celery 5.2, and later ones.
"""

import contextlib
import importlib
import json

LONGEST = 60_000  # characters of a section, which is one line of the answer


def tell(request, app, say):
    """request: what probe.py asks. say: takes a section's name and its facts."""
    for name, section in {**SECTIONS, **importlib.import_module("evenkeel_broker").SECTIONS}.items():
        facts = {}
        with contextlib.suppress(Exception):
            for fact, value in section(request, app):
                facts[fact] = value
        if len(json.dumps(facts)) < LONGEST:
            say(name, facts)


def own_tasks(app):
    return [task for name, task in app.tasks.items() if not name.startswith("celery.")]


def settings(request, app):
    tasks = own_tasks(app)
    late = {task.name for task in tasks if task.acks_late}
    requeued = {task.name for task in tasks if task.reject_on_worker_lost}
    yield "tasks", len(tasks)
    yield "late", len(late)
    yield "requeued", len(requeued)
    yield "late_requeued", len(late & requeued)
    yield "transport", app.connection_for_read().transport.driver_type


def versions(_request, _app):
    for name in ("celery", "kombu", "redis", "amqp"):
        with contextlib.suppress(ImportError):
            yield name, importlib.import_module(name).__version__


SECTIONS = {"settings": settings, "versions": versions}
