# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a service, as facts_program.py and broker_program.py tell them.

The application may forge them: what does not have its form is left out, as if it were not known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Callable

from .._common.texts import printable

# The facts that are known, by section and name.
Facts = Mapping[str, Mapping[str, Any]]
Form = Callable[[Any], bool]

MOST = 500  # entries of a list or a dictionary
LONGEST = 200  # characters of a text
LARGEST = 2**53


def switch(value: Any) -> bool:
    return isinstance(value, bool)


def text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def version(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d{1,5}(\.\d{1,5}){0,3}", value, re.ASCII))


def number(value: Any) -> bool:
    """From 0 on."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < LARGEST


def signed(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def optional(form: Form) -> Form:
    return lambda value: value is None or form(value)


def list_of(form: Form) -> Form:
    return lambda value: isinstance(value, list) and len(value) <= MOST and all(map(form, value))


def dict_of(form: Form) -> Form:
    return lambda value: (
        isinstance(value, dict)
        and len(value) <= MOST
        and all(isinstance(key, str) and len(key) <= LONGEST for key in value)
        and all(map(form, value.values()))
    )


def fields(**forms: Form) -> Form:
    return lambda value: (
        isinstance(value, dict) and value.keys() == forms.keys() and all(forms[name](value[name]) for name in forms)
    )


# By section and name: what is told, and its form. Times are in seconds, sizes in bytes.
FORMS: dict[str, dict[str, Form]] = {
    "settings": {
        "tasks": number,  # the application's own
        # Of them, without those that Celery retries a limited number of times if their process is lost:
        "late": number,  # that are acknowledged after they have ended
        "requeued": number,  # that are returned to the queue if their process is lost
        "late_requeued": number,  # both, or retried for ever
        "eager": switch,  # whether a task is executed by whoever sends it
        "limit": number,  # of all tasks: the hard time limit, or the soft one if there is no other; 0 for none
        "own_limit": number,  # the longest that a task has for itself
        "late_own_limit": number,  # and that one of the late tasks has
        "late_without_own_limit": switch,  # whether one of them has none
        "prefetch": number,  # worker_prefetch_multiplier
        "disable_prefetch": switch,  # worker_disable_prefetch
        "accepted": list_of(text),  # accept_content
        "transport": text,  # kombu's name: redis, amqp, sqs
        "visibility_timeout": number,  # on Redis
        "results": text,  # the module of the backend, or disabled
        "storing": number,  # tasks that store their result
        "results_expire": number,  # 0: never
        "nodes": dict_of(text),  # the names of nodes by node_name: with %h replaced
        "default_queues": list_of(text),  # that a worker without `queues` consumes
        "default_queue": text,  # of tasks without a route
        "routes": dict_of(text),  # queues to which tasks are sent, each with one of these tasks
    },
    "versions": dict.fromkeys(("celery", "kombu", "redis", "amqp"), version),
    "rabbitmq": {"version": version},
    "redis": {
        "version": version,
        "run": text,  # differs between servers, and between their starts
        "clock": list_of(signed),  # the server's is ahead of this host's by something between these two
        "memory": number,
        "max_memory": number,  # 0: none
        "policy": text,  # maxmemory-policy
        "evicted": number,  # keys that it has dropped since its start, as its memory was full
        "append_only": switch,
        "snapshots": switch,
        "failed_to_save": switch,  # the last time
        "has_results": switch,  # whether results are kept on the broker's server
        "caches": list_of(text),  # Django's that are in the broker's database
        "others": number,  # single values in the broker's database that are not Celery's
    },
    # What the host knows of the service.
    "service": {
        "node": text,
        "queues": list_of(text),  # that a worker consumes
        "entries": dict_of(text),  # queues to which a beat sends, each with one of its entries
        "processors": number,
        "cpu": number,  # seconds of processors that the running unit has used
        "up": number,  # seconds since its start
    },
    "queues": {
        "broker": text,  # which one it is: the same on each host that uses it
        # On Redis those of the whole database, on RabbitMQ those that the application names. Redis does not know who
        # consumes.
        "queues": list_of(fields(name=text, messages=number, consumers=optional(number))),
    },
    # The longest wait of a message that was seen: from when a worker received it, or could do so, to its ETA.
    "etas": {"longest": fields(seconds=number, task=text, queue=text)},
    # What running workers answer, whoever's they are.
    "workers": {
        "workers": list_of(
            fields(
                name=text,  # of the node
                count=number,  # of the workers of this name; the rest tells of all of them together
                queues=list_of(text),
                ours=switch,  # whether they know a task of this application
                uptime=number,
                received=number,  # tasks since the start
                processes=number,
                active=number,  # tasks
                reserved=number,
                longest=number,  # for how long the first of the active tasks has been active
            )
        ),
        "silent": list_of(text),  # nodes that have a mailbox and do not answer
        "listening": number,  # connections to Redis that wait for a message of the database
    },
}
NOTHING_KNOWN: Facts = MappingProxyType({section: MappingProxyType({}) for section in FORMS})


def read(given: Any) -> Facts:
    """The facts of the expected form, for each section; their texts are printable."""
    return {
        section: {name: _printable(value) for name, value in known.items()} for section, known in of_form(given).items()
    }


def of_form(given: Any) -> dict[str, dict[str, Any]]:
    """The facts of the expected form, for each section, as they were given."""
    given = given if isinstance(given, dict) else {}
    return {section: _section(forms, given.get(section)) for section, forms in FORMS.items()}


def _section(forms: Mapping[str, Form], given: Any) -> dict[str, Any]:
    given = given if isinstance(given, dict) else {}
    return {name: given[name] for name, form in forms.items() if name in given and form(given[name])}


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value, None)
    if isinstance(value, list):
        return [_printable(each) for each in value]
    if isinstance(value, dict):
        return {_printable(name): _printable(each) for name, each in value.items()}
    return value
