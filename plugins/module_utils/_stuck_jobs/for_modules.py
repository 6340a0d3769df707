# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules of all engines have in common: arguments, a run, its result and its diff."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .._common.options import Option, hidden_characters
from .actions import that_set
from .databases import engine_of
from .option_table import ASK_WORKERS
from .options import Database, StuckJobsError, read_options
from .report import Report, Row
from .run import clean_up


class NotSet(str):
    """The value of an option that is not set, as null is a value of its own."""


def not_set() -> NotSet:
    return NotSet("as for the job")


def databases_spec(databases: Option) -> dict[str, Any]:
    """The argument `databases` as AnsibleModule wants it."""
    spec = databases.argument()
    of_child = spec["options"]["children"]["options"]
    for action in that_set():
        of_child[action.to_option]["fallback"] = (not_set,)
    return spec


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that a task sets for a database. A child's options that are not set are those of the job."""
    return {
        **{name: value for name, value in options.items() if not isinstance(value, NotSet)},
        "children": [
            {
                name: value
                for name, value in given(child).items()
                if value is not None or name not in ("stuck_statuses", "error_message")
            }
            for child in options.get("children") or ()
        ],
    }


def result(reports: list[Report]) -> dict[str, Any]:
    return {
        "changed": any(report.changed for report in reports),
        "databases": [report.as_data() for report in reports],
        "msg": " ".join(report.sentence() for report in reports) or "No database was given.",
        "diff": [diff(report) for report in reports if report.changed],
    }


def diff(report: Report) -> dict[str, Any]:
    """A sentence and the changed rows, one a line, before and after; deleted rows are not in `after`."""
    more = report.count - len(report.rows)
    rest = f"… and {more} more\n" if more else ""
    return {
        "before_header": str(report.database),
        "after_header": report.sentence(),
        "before": "".join(_line(row, row.before) for row in report.rows) + rest,
        "after": "".join(_line(row, f"{row.after} ({row.why})") for row in report.rows if row.after) + rest,
    }


def _line(row: Row, columns: str) -> str:
    return f"{row.table} {row.id}: {columns}\n"


def run(databases: Option, kind: type[Database]) -> None:
    """Runs a module for databases of one kind.

    databases: the argument with its options.
    """
    module = AnsibleModule(
        argument_spec={
            "databases": databases_spec(databases),
            ASK_WORKERS.name: ASK_WORKERS.argument(),
        },
        supports_check_mode=True,
    )
    hidden = list(hidden_characters((databases,), module.params))
    if hidden:
        module.fail_json(msg="\n".join(hidden))
    ask_workers = module.params["ask_workers"]
    if not (ask_workers or module.check_mode):
        module.fail_json(msg="ask_workers: false is for check mode. Leave it out, or add `check_mode: true`.")
    try:
        wanted = [read_options(given(options), kind) for options in module.params["databases"]]
    except StuckJobsError as error:
        module.fail_json(msg=str(error))
    outcome = result(clean_up(engine_of, wanted, dry_run=module.check_mode, ask_workers=ask_workers))
    if any(report["error"] for report in outcome["databases"]):
        outcome["msg"] = " ".join(report["error"] for report in outcome["databases"] if report["error"])
        module.fail_json(**outcome)
    module.exit_json(**outcome)
