# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a stuck job. Another action is another entry of ACTIONS, and its options' documentation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """One way to deal with a stuck job and with what belongs to it.

    An action that does not remove has the options `<name>_to`, the status that it sets, and `<name>_set`, a dictionary
    of the other columns that it sets.

    name: as options, the command line and metrics have it.
    done: what was done, in reports; {status} stands for the status that it sets.
    status: the default of `<name>_to`.
    removes: whether the row goes, with all rows that belong to it.
    writes_error: whether error_column gets error_message.
    counts_attempts: whether attempts_column gets one more.
    in_the_end: the name of the action that takes its place after max_attempts; none if empty.
    requeues: whether the task of `requeue` is sent for each job.
    unreachable: what to do where it is not known what the workers are doing: abort, or ignore that.
    """

    name: str
    done: str
    status: str | None = None
    removes: bool = False
    writes_error: bool = False
    counts_attempts: bool = False
    in_the_end: str = ""
    requeues: bool = False
    unreachable: str = "abort"

    @property
    def to_option(self) -> str:
        return f"{self.name}_to"

    @property
    def set_option(self) -> str:
        return f"{self.name}_set"


RESET = Action("reset", "reset to {status}", status="pending", counts_attempts=True, in_the_end="fail", requeues=True)
# A job that is marked as failed although a worker executes it still ends with that worker's result.
FAIL = Action("fail", "set to {status}", status="failed", writes_error=True, unreachable="ignore")
DELETE = Action("delete", "deleted", removes=True)

ACTIONS = {action.name: action for action in (RESET, FAIL, DELETE)}


def that_set() -> list[Action]:
    """The actions that set a status, and have options for it."""
    return [action for action in ACTIONS.values() if not action.removes]
