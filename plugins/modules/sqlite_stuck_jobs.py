#!/usr/bin/python
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sqlite_stuck_jobs
short_description: Reset, fail or delete the jobs that a crash left stuck in SQLite
version_added: "0.1.0"
author:
  - The evenkeel developers (@evenkeel)
description:
  - Finds jobs that stand in a status such as C(processing) for too long in the SQLite database of an application
    and resets, fails or deletes them.
  - Plans first and shows that plan in check mode and with C(--diff); then does it in short transactions, with room for
    the application's own writes between them. A job that moved on in between is left alone and reported.
  - Every row is recorded as it was before it is touched; C(cleanup_stuck_jobs.py --undo) puts it back.
  - What can't be told to be old is never treated as old. A timestamp that is NULL, unreadable, before 1980 or in the
    future is skipped and reported.
  - Timestamps may be ISO 8601 with C(T) or a space, with a fraction, with C(Z) or an offset; epochs in s, ms or µs; or
    a Julian day.
extends_documentation_fragment:
  - evenkeel.celery.databases
options:
  ask_workers:
    description:
      - V(false) looks at options and databases alone, whatever O(databases[].celery) says. There may be no worker yet.
      - In check mode only, as what is at work may then look stuck.
    type: bool
    default: true
notes:
  - Run it as the owner of the database or as root, which lends itself the owner's identity. So the files that SQLite
    makes beside the database stay the application's.
  - C(cleanup_stuck_jobs.py --undo FILE) of the role P(evenkeel.celery.job_cleanup#role) undoes a run.
attributes:
  check_mode:
    support: full
    description: Opens the database for reading only.
  diff_mode:
    support: full
    description: Shows every row with its status before and after.
"""

EXAMPLES = r"""
- name: See what is stuck
  evenkeel.celery.sqlite_stuck_jobs:
    databases:
      - name: jobs
        path: /opt/slideshow/data/jobs.db
        table: jobs
  check_mode: true
  diff: true

- name: Delete two jobs, and every batch that is stuck for a day with its links
  evenkeel.celery.sqlite_stuck_jobs:
    databases:
      - name: jobs
        path: /opt/slideshow/data/jobs.db
        table: jobs
        action: delete
        jobs: [77cfa3cd, b49d06f6]
      - name: batches
        path: /opt/slideshow/data/batch_processing.db
        table: batches
        action: delete
        threshold: 1d
        children:
          - table: links
            foreign_key: batch_id

- name: Send the orders again that no worker is at, three times at most
  evenkeel.celery.sqlite_stuck_jobs:
    databases:
      - name: orders
        path: /srv/shop/orders.db
        table: orders
        threshold: 2h
        attempts_column: tries
        max_attempts: 3
        celery:
          app: shop
          directory: /srv/shop
          python: /srv/shop/venv/bin/python
        requeue:
          task: shop.deliver
"""

RETURN = r"""
databases:
  description: What was done in each database, or what would be done.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The database's name.
      type: str
      returned: always
      sample: batches
    path:
      description: Its file.
      type: str
      returned: always
      sample: /opt/slideshow/data/batch_processing.db
    action:
      description: What is done with stuck jobs.
      type: str
      returned: always
      sample: delete
    dry_run:
      description: Whether this is only a plan.
      type: bool
      returned: always
    counts:
      description: Number of rows by table and action.
      type: dict
      returned: always
      sample: {batches: {reset: 4, fail: 1}, links: {reset: 12}}
    changes:
      description:
        - The first 200 rows, in the order of their jobs, with C(table), C(id), C(action), C(from), C(to) and C(why).
        - All of them stand in the record.
      type: list
      elements: dict
      returned: always
      sample: [{table: jobs, id: 77cfa3cd, action: reset, from: processing, to: pending, why: processing for 3 d}]
    skipped:
      description:
        - The first 200 rows that were not touched, with C(table), C(id) and C(why).
        - Why is such as an unreadable timestamp, or a worker that is at it.
      type: list
      elements: dict
      returned: always
    skipped_count:
      description: How many there are.
      type: int
      returned: always
    moved_on:
      description: The first 200 jobs that changed while this ran and were left alone, with C(table), C(id) and C(why).
      type: list
      elements: dict
      returned: always
    moved_on_count:
      description: How many there are.
      type: int
      returned: always
    unknown:
      description: Given ids that no job has.
      type: list
      elements: str
      returned: always
    sent:
      description: Number of tasks that were sent.
      type: int
      returned: always
    oldest_seconds:
      description: The age of the oldest stuck job; null if there is none.
      type: float
      returned: always
    batches:
      description: Number of transactions.
      type: int
      returned: always
    locked_seconds:
      description: For how long they held the database, in all.
      type: float
      returned: always
    longest_lock_seconds:
      description: For how long one of them held it at most.
      type: float
      returned: always
    owner:
      description: The user who owns the database, as whom the work is done.
      type: str
      returned: always
      sample: slideshow
    record:
      description: The file that keeps the rows as they were; empty where nothing changed.
      type: str
      returned: always
      sample: /var/lib/evenkeel/job_cleanup/slideshow/batches-20260118T103000Z-x1y2.jsonl
    error:
      description: What was wrong with this database.
      type: str
      returned: always
    summary:
      description: All this in one sentence.
      type: str
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.actions import that_set
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    Change,
    Report,
    StuckJobsError,
    clean_up,
    in_words,
    read_options,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite.engine import SQLite
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.option_table import DATABASES


class Unsaid(str):
    """Stands for an option that a task does not have, where null is a value."""


def unsaid() -> Unsaid:
    return Unsaid("as for the job")


def databases_spec() -> dict:
    spec = DATABASES.argument()
    of_child = spec["options"]["children"]["options"]
    for action in that_set():
        of_child[action.to_option]["fallback"] = (unsaid,)
    return spec


def given(options: dict) -> dict:
    """What a task says of a database: of a child's options, those that it does not have are the job's."""
    return {
        **{name: value for name, value in options.items() if not isinstance(value, Unsaid)},
        "children": [
            {
                name: value
                for name, value in given(child).items()
                if value is not None or name not in ("stuck_statuses", "error_message")
            }
            for child in options.get("children") or ()
        ],
    }


def result(reports: list[Report]) -> dict:
    return {
        "changed": any(report.changed for report in reports),
        "databases": [report.as_data() for report in reports],
        "msg": " ".join(report.sentence() for report in reports) or "No database was given.",
        "diff": [diff(report) for report in reports if report.changed],
    }


def diff(report: Report) -> dict:
    """In words, and the touched rows, one a line, before and after; a deleted one is no longer there."""
    more = report.count - len(report.rows)
    rest = f"… and {more} more\n" if more else ""
    return {
        "before_header": str(report.database),
        "after_header": report.sentence(),
        "before": "".join(_line(row, row.status, row.set_before) for row in report.rows) + rest,
        "after": "".join(
            _line(row, row.target, row.after, row.why) for row in report.rows if not row.shape.action.removes
        )
        + rest,
    }


def _line(row: Change, status: object, values: tuple, why: str = "") -> str:
    """Of what is set, the status comes first, and needs no name."""
    others = [f"{column} {in_words(value)}" for column, value in zip(row.shape.set[1:], values[1:])]
    return f"{row.shape.table.table} {row.id}: {', '.join([in_words(status), *others])}{why and f' ({why})'}\n"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "databases": databases_spec(),
            "ask_workers": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    ask_workers = module.params["ask_workers"]
    if not (ask_workers or module.check_mode):
        module.fail_json(msg="ask_workers: false is for check mode. Leave it out, or add `check_mode: true`.")
    try:
        databases = [read_options(given(options)) for options in module.params["databases"]]
    except StuckJobsError as error:
        module.fail_json(msg=str(error))
    outcome = result(clean_up(SQLite, databases, dry_run=module.check_mode, ask_workers=ask_workers))
    if any(report["error"] for report in outcome["databases"]):
        outcome["msg"] = " ".join(report["error"] for report in outcome["databases"] if report["error"])
        module.fail_json(**outcome)
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
