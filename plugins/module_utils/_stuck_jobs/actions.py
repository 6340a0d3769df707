# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions on a stuck job. Each is an entry of ACTIONS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """One way to deal with a stuck job and the rows that belong to it.

    An action that does not remove rows has two options: `<name>_to`, the status that it sets, and `<name>_set`, a
    dictionary of the other columns that it sets.

    name: as in options, on the command line and in metrics.
    done: what was done, in reports; {status} is replaced by the status that it sets.
    status: the default of `<name>_to`.
    removes: whether it deletes the row and all rows that belong to it.
    writes_error: whether it writes error_message to error_column.
    counts_attempts: whether it adds one to attempts_column.
    in_the_end: the name of the action that replaces it after max_attempts; empty for none.
    requeues: whether the task of `requeue` is sent for each job.
    unreachable: the default policy if it is not known what the workers are doing: abort or ignore.
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
# It ignores unreachable workers: a job that is still executed gets its worker's result in the end anyway.
FAIL = Action("fail", "set to {status}", status="failed", writes_error=True, unreachable="ignore")
DELETE = Action("delete", "deleted", removes=True)

ACTIONS = {action.name: action for action in (RESET, FAIL, DELETE)}


def that_set() -> list[Action]:
    """The actions that set a status and have options for it."""
    return [action for action in ACTIONS.values() if not action.removes]
