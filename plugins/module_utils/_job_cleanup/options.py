# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the script and its schedule: each is written here, and nowhere else by hand."""

from __future__ import annotations

from .._common.options import Option

SCHEDULE = (
    Option("minute", "str", "The minutes. By default every tenth minute."),
    Option("hour", "str", "The hours. By default every hour."),
    Option("day", "str", "The days of the month. By default every day."),
    Option("month", "str", "The months. By default every month."),
    Option("weekday", "str", "The days of the week. By default every day."),
)
# The options that the preflight needs too.
CRON_OPTIONS = (
    Option("cron_state", "str", "Whether cron runs the script.", "absent", choices=("present", "absent")),
    Option(
        "cron_user",
        "str",
        (
            "The user that cron runs the script as. Empty for the databases' owner, or V(root) without databases.",
            "V(root) works as each owner in turn. It has to be named, even if it owns the databases itself.",
        ),
        "",
    ),
    Option(
        "cron_schedule",
        "dict",
        "When cron runs the script, in the grammar of crontab(5). By default every ten minutes.",
        {},
        options=SCHEDULE,
    ),
)
SCRIPT_OPTIONS = (
    Option(
        "state",
        "str",
        "V(present) installs the script, its engine, its configuration and its schedule. V(absent) removes all of them."
        " The records of runs are kept.",
        "present",
        choices=("present", "absent"),
    ),
    Option(
        "metrics_file",
        "path",
        (
            "A file for node_exporter's textfile collector, in a directory where the script's user may write. Empty for"
            " none.",
            "The role P(evenkeel.celery.monitoring#role) exports the same metrics and needs no such directory, in which"
            " that user could write any metric.",
        ),
        "",
    ),
)
