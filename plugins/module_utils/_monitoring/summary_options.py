# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the report on all hosts: each is written here, and nowhere else by hand."""

from __future__ import annotations

from .._common.options import Option

RUNBOOK = "https://github.com/evenkeel/celery/blob/main/docs/runbook.md"

GOALS = (
    Option("out_of_memory", "bool", "No service runs out of memory in O(days).", True),
    Option(
        "memory",
        "size",
        (
            "The memory of each host that is in use, with all of its programs, stays below this at its peak.",
            "Empty for no such goal.",
        ),
        "",
    ),
    Option("stuck_for", "duration", "No job is stuck for longer than this. Empty for no such goal.", "1h"),
    Option(
        "throughput",
        "bool",
        "As many tasks are done in the busiest hour as before the services were first deployed by this collection.",
        True,
    ),
    Option(
        "busiest_hour_before",
        "float",
        "The tasks that were done in the busiest hour before. If it is not set, they are counted in the journal, as far"
        " back as it goes.",
    ),
    Option(
        "refusals_down",
        "float",
        "By how many percent calls that were refused for their rate (429) become fewer, for the same number of tasks."
        " V(0) for no such goal.",
        90,
    ),
    Option(
        "refusals_before",
        "float",
        "The refused calls for each 1000 tasks before. If it is not set, they are counted in the journal.",
    ),
)
SUMMARY = (
    Option("days", "float", "The days that the report is about.", 7),
    Option("goals", "dict", "The goals that the report judges.", {}, options=GOALS),
    Option(
        "file",
        "list",
        (
            "Files on the controller to write. The ending says what: C(.html) is the page, C(.json) all of it as data,"
            " C(.txt) the tables. Relative paths start from where C(ansible-playbook) was started.",
            "Check mode does not write them.",
        ),
        (),
        elements="path",
    ),
    Option(
        "format",
        "str",
        "What is shown in the terminal: V(table), V(json), or V(none).",
        "table",
        choices=("table", "json", "none"),
    ),
    Option(
        "fail_on",
        "str",
        (
            "When the play fails: V(wrong) if a service is down, a goal is not met, or a host does not answer;"
            " V(unknown) also if a goal can't be judged; V(never) in no case.",
        ),
        "wrong",
        choices=("wrong", "unknown", "never"),
    ),
    Option("runbook", "str", "The address of the runbook that the page links to.", RUNBOOK),
)
