# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the services' preflight_command, as their users in their units' sandboxes."""

from __future__ import annotations

import json
import shlex

from .._celery.options import Instance
from .._celery.secrets import without_secrets
from .._common import transient
from .._common.quantities import format_size, parse_duration
from .._common.texts import printable
from . import answer, probe

# Of what a command wrote: characters that are searched for secrets, and those and lines that are shown.
_SEARCHED, _SHOWN, _LINES = 5000, 2000, 10


def errors(instances: list[Instance]) -> dict[str, str]:
    """Why the commands failed, by the services' names. Services that have the same one in common share a run of it."""
    with_command = [instance for instance in instances if instance["preflight_command"]]
    failures = probe.for_each(with_command, _question, _run)
    return {name: failure for name, failure in failures.items() if failure}


def _question(instance: Instance) -> str:
    return json.dumps([probe.question(instance), instance["preflight_command"]])


def _run(group: list[Instance]) -> str:
    """Why the command failed; empty if it did not."""
    instance = group[0]
    command = instance["preflight_command"]
    seconds = max(parse_duration(each["start_timeout"]) for each in group)
    result = probe.start(group, command, seconds)
    if result.outcome == "success":
        return ""
    why = _why(result, instance)
    return f"preflight_command {printable(shlex.join(command))!r} {why}"


def _why(result: transient.Result, instance: Instance) -> str:
    try:
        found = answer.read(result.output, instance)
    except answer.AnswerError:
        found = {}
    if "executable" in found:
        return f"can't be run by user {instance['user']}: {found['executable']}. Correct the program's path."
    longest = instance["start_timeout"]
    ends = {
        "timeout": f"had not ended within start_timeout {longest}. Make it faster, or raise start_timeout.",
        "output": f"writes more than {format_size(transient.MOST)}. Let it write less.",
    }
    if result.outcome in ends:
        return ends[result.outcome]
    how = f"exit code {result.status}" if result.outcome == "exit-code" else f"{result.outcome} {result.signal}".strip()
    return "\n  ".join([f"failed ({how}). Correct what it says:", *_last_lines(result, instance)])


def _last_lines(result: transient.Result, instance: Instance) -> list[str]:
    written = "\n".join(
        line for line in f"{result.output}\n{result.error}".splitlines() if line.strip() and answer.MARK not in line
    )
    # Less is shown than searched, as a secret may have been cut off at the beginning.
    text = without_secrets(written[-_SEARCHED:], [instance])[-_SHOWN:]
    return [printable(line) for line in text.splitlines()[-_LINES:]] or ["(it wrote nothing)"]
