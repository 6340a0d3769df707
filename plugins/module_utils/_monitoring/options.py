# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of monitoring: each is written here, and nowhere else by hand."""

from __future__ import annotations

from .._common.options import Option

# What celery says when a service that it calls refuses, but not the milliseconds in its own prefix.
RATE_LIMITED = r"(?<![\w.,:-])429(?![\w-]|[.,:]\d)|Too Many Requests|RESOURCE_EXHAUSTED"

QUEUES = (
    Option("name", "str", "The queue's name, as in a worker's O(celery_worker_instances[].queues).", required=True),
    Option(
        "workers",
        "list",
        "The workers that consume it. By default those of the inventory that name it.",
        elements="str",
    ),
    Option("backlog", "int", "The number of waiting messages above which an alert fires."),
    Option("backlog_for", "duration", "For how long there have to be more before the alert fires.", "15min"),
    Option(
        "campaign",
        "path",
        "A file that lies on the host for as long as this queue should have work. If it has none for O(idle_for), an"
        " alert fires.",
    ),
    Option("idle_for", "duration", "For how long the queue may be empty while O(campaign) exists.", "30min"),
)
TASKS = (
    Option("name", "str", "The task's full name.", required=True),
    Option("within", "duration", "An alert fires if it has not succeeded for this long.", required=True),
)
MONITORING = (
    Option(
        "state",
        "str",
        "V(present) measures the services of this play, each minute. V(absent) no longer does.",
        "present",
        choices=("present", "absent"),
    ),
    Option(
        "exporters",
        "list",
        "The exporters of Prometheus that are installed: V(node) also carries what is measured here, V(redis) counts"
        " the messages in the queues. With another broker, leave out V(redis).",
        ("node", "redis"),
        elements="str",
    ),
    Option(
        "listen_address",
        "str",
        "The address that the exporters listen on, such as that of a private network. They have no passwords.",
        "127.0.0.1",
    ),
    Option(
        "redis_url",
        "str",
        "Redis, as the workers reach it. By default the C(CELERY_BROKER_URL) of the first worker. Only root can read it"
        " on the host.",
        "",
        no_log=True,
    ),
    Option("queues", "list", "The queues to watch.", (), elements="dict", options=QUEUES),
    Option(
        "tasks", "list", "The tasks that have to succeed regularly, such as beat's.", (), elements="dict", options=TASKS
    ),
    Option(
        "rate_limited",
        "str",
        "A regular expression for log lines that tell of a call that was refused for its rate.",
        RATE_LIMITED,
    ),
    Option(
        "prometheus_host",
        "str",
        (
            "The host that gets the alert rules, the scrape configuration, the console page and the dashboard, such as"
            " that of Prometheus. V(localhost) is the controller.",
            "Empty for none.",
        ),
        "",
    ),
    Option("prometheus_directory", "path", "The directory for them on that host.", "/etc/prometheus/evenkeel"),
)
