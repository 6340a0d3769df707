# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of monitoring: each is written here, and nowhere else by hand."""

from __future__ import annotations

from .._common.options import Option

# Neither the milliseconds in Celery's own prefix nor a part of another number, an id or a duration.
RATE_LIMITED = r"(?<![\w.,:-])429(?![\w-]|[.,:]\d)|Too Many Requests|RESOURCE_EXHAUSTED"

QUEUES = (
    Option("name", "str", "The queue's name, as in a worker's C(queues).", required=True),
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
    Option(
        "idle_for", "duration", "For how long its workers may have nothing to do while O(campaign) exists.", "30min"
    ),
    Option(
        "unserved_for",
        "duration",
        "An alert fires if messages have been waiting for this long, and no worker of this queue had anything to do.",
        "15min",
    ),
)
TASKS = (
    Option("name", "str", "The task's full name.", required=True),
    Option("within", "duration", "An alert fires if it has not succeeded for this long.", required=True),
)
ALERTS = (
    Option(
        "after",
        "duration",
        "For how long something has to be wrong before an alert fires. Restarts take less.",
        "5min",
    ),
    Option(
        "window",
        "duration",
        "For how long an alert fires that is about an event, such as a worker that hung and was restarted. It is also"
        " the time within which three ends of a service are too many.",
        "1h",
    ),
    Option("failed_share", "float", "The share of failed tasks, of each kind, above which an alert fires.", 0.2),
    Option("refused_calls", "int", "The number of refused calls in an hour above which an alert fires.", 20),
    Option(
        "longest_task",
        "duration",
        "An alert fires if a worker has been busy for longer and has begun no other task. By default only workers with"
        " a C(time_limit) have this alert.",
    ),
    Option("stuck_for", "duration", "An alert fires if the clean-up finds a job that was stuck for longer.", "1h"),
    Option(
        "cleanup_within",
        "duration",
        "An alert fires if cron has not run the clean-up for this long, or if each clean-up has found stuck jobs for"
        " this long. It has to be longer than the time between two runs.",
        "1h",
    ),
    Option(
        "shared_broker",
        "bool",
        "Whether the workers of all hosts use one broker. V(false) if each host has its own.",
        True,
    ),
    Option(
        "runbook",
        "str",
        "The page that alerts link to, with a heading for each. The console page links to the default.",
        "https://github.com/evenkeel/celery/blob/main/docs/alerts.md",
    ),
)
# On each host.
MEASURED = (
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
        choices=("node", "redis"),
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
)
MONITORING = (
    *MEASURED,
    Option("alerts", "dict", "When alerts fire, besides those of queues and tasks.", {}, options=ALERTS),
    Option(
        "scrape_address",
        "str",
        "The address at which Prometheus reaches the exporters, such as that of a tunnel. By default"
        " O(listen_address) or, if that is a wildcard such as V(0.0.0.0), the host's C(ansible_host).",
        "",
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
# Of the module celery_report.
SERVICES = (
    Option("name", "str", "The name of its unit, without C(.service).", required=True),
    Option("kind", "str", "What it is.", "worker", choices=("worker", "beat")),
    Option(
        "log_level",
        "str",
        "Celery's log level, which decides what the log can tell.",
        "info",
        choices=("debug", "info", "warning", "error", "critical"),
    ),
    Option(
        "rate_limited",
        "str",
        "A regular expression for log lines that tell of a call that was refused for its rate.",
        RATE_LIMITED,
    ),
)
REPORT = (
    Option("services", "list", "The services to report on.", elements="dict", required=True, options=SERVICES),
    Option("days", "float", "How many days the report looks back, up to 366.", 7.0),
    Option(
        "stuck_job_age",
        "str",
        "Count jobs as stuck after this time, such as V(1h), instead of the time that the clean-up is configured with.",
        "",
    ),
)
# Of the module celery_monitoring.
SERVICES_OF_A_HOST = Option(
    "services",
    "list",
    "The services to measure.",
    (),
    elements="dict",
    options=(
        *SERVICES[:3],
        Option(
            "queues",
            "list",
            "The queues that a worker consumes from. Empty for the application's default queue.",
            (),
            elements="str",
        ),
        Option(
            "settings",
            "dict",
            "A worker's Celery settings: C(broker_transport_options) tells whether its queues can be counted.",
            {},
            free_text=True,
        ),
    ),
)
