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
  - Plans first and shows that plan in check mode and with C(--diff); then does it in one transaction for each
    database. A job that moved on in between is left alone and reported.
  - What can't be told to be old is never treated as old. A timestamp that is NULL, unreadable or in the future is
    skipped and reported.
  - Timestamps may be ISO 8601 with C(T) or a space, with a fraction, with C(Z) or an offset, or epochs in s, ms or
    µs. Without an offset they count as UTC. An application that writes local time needs a threshold that allows for it.
options:
  databases:
    description: The databases to look into. One file with two kinds of jobs is two entries.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What this database is called in messages and in the names of backup files.
        type: str
        required: true
      path:
        description: The database file. It must exist; it is never created.
        type: path
        required: true
      table:
        description: The table of the jobs.
        type: str
        required: true
      id_column:
        description: The column that names one job, the primary key or one that is unique.
        type: str
        default: id
      status_column:
        description: The column of the status.
        type: str
        default: status
      time_column:
        description:
          - The column that says since when a job has its status, or when it last took a step.
          - A time of creation would make a job that waited long look stuck as soon as it starts.
        type: str
        default: updated_at
      stuck_statuses:
        description: The statuses in which a job can be stuck.
        type: list
        elements: raw
        default: [processing]
      threshold:
        description: The age from which a job counts as stuck. V(30m), V(2h), V(1d) or a plain number of minutes.
        type: str
        default: 30m
      action:
        description: What is done with a stuck job. The rows that V(delete) takes out are kept in a file.
        type: str
        choices: [reset, fail, delete]
        default: reset
      reset_to:
        description: The status that V(reset) sets.
        type: raw
        default: pending
      fail_to:
        description: The status that V(fail) sets.
        type: raw
        default: failed
      error_column:
        description: A column that gets O(databases[].error_message) when a job is failed; none if empty.
        type: str
        default: ""
      error_message:
        description: What stands in O(databases[].error_column) then.
        type: str
        default: Stuck, and set to failed by job_cleanup
      jobs:
        description:
          - Only these jobs, by their ids or unambiguous beginnings of them, whatever their age. They still have to
            be stuck.
          - A binary id is written in hex.
        type: list
        elements: str
        default: []
      respect_age:
        description: Whether given jobs, too, have to be older than O(databases[].threshold).
        type: bool
        default: false
      children:
        description: Tables whose rows belong to a job and go the same way with it.
        type: list
        elements: dict
        default: []
        suboptions:
          table:
            description: The table of the children.
            type: str
            required: true
          foreign_key:
            description: The column that holds the id of the job.
            type: str
            required: true
          id_column:
            description: The column that names one child.
            type: str
            default: id
          status_column:
            description: The column of the status. Empty means that there is none, and only V(delete) touches the child.
            type: str
            default: status
          stuck_statuses:
            description: The statuses in which a child is reset or failed with its job; by default those of the job.
            type: list
            elements: raw
          reset_to:
            description: By default that of the job.
            type: raw
          fail_to:
            description: By default that of the job.
            type: raw
          error_column:
            description: A column of the child that gets the message; none if empty.
            type: str
            default: ""
          error_message:
            description: By default that of the job.
            type: str
      busy_timeout:
        description: For how many seconds to wait for another process that holds the database.
        type: float
        default: 30
      backup_directory:
        description: Where deleted rows are kept, in a directory of the database's owner.
        type: path
        default: /var/lib/evenkeel/job_cleanup
notes:
  - Run it as the owner of the database or as root, which lends itself the owner's identity. So the files that SQLite
    makes beside the database stay the application's.
  - C(cleanup_stuck_jobs.py --restore FILE) of the role P(evenkeel.celery.job_cleanup#role) puts deleted rows back.
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
      description: Number of rows by table.
      type: dict
      returned: always
      sample: {batches: 4, links: 12}
    changes:
      description: Every row, in the order of its job, with C(table), C(id), C(action), C(from), C(to) and C(why).
      type: list
      elements: dict
      returned: always
      sample: [{table: jobs, id: 77cfa3cd, action: reset, from: processing, to: pending, why: processing for 3 d}]
    skipped:
      description: Rows that were not touched, with C(table), C(id) and C(why), such as an unreadable timestamp.
      type: list
      elements: dict
      returned: always
    moved_on:
      description: Rows that changed while this ran and were left alone, with C(table), C(id) and C(why).
      type: list
      elements: dict
      returned: always
    unknown:
      description: Given ids that no job has.
      type: list
      elements: str
      returned: always
    owner:
      description: The user who owns the database, as whom the work is done.
      type: str
      returned: always
      sample: slideshow
    backup:
      description: The file that keeps the deleted rows.
      type: str
      returned: always
      sample: /var/lib/evenkeel/job_cleanup/slideshow/batches-20260118T103000Z-x1y2.jsonl
    error:
      description: What was wrong with this database, in which case nothing was changed in it.
      type: str
      returned: always
    summary:
      description: All this in one sentence.
      type: str
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils.stuck_jobs import (
    ACTIONS,
    Report,
    StuckJobsError,
    clean_up,
    read_options,
    show,
)

CHILD = {
    "table": {"type": "str", "required": True},
    "foreign_key": {"type": "str", "required": True, "no_log": False},
    "id_column": {"type": "str", "default": "id"},
    "status_column": {"type": "str", "default": "status"},
    "stuck_statuses": {"type": "list", "elements": "raw"},
    "reset_to": {"type": "raw"},
    "fail_to": {"type": "raw"},
    "error_column": {"type": "str", "default": ""},
    "error_message": {"type": "str"},
}
DATABASE = {
    "name": {"type": "str", "required": True},
    "path": {"type": "path", "required": True},
    "table": {"type": "str", "required": True},
    "id_column": {"type": "str", "default": "id"},
    "status_column": {"type": "str", "default": "status"},
    "time_column": {"type": "str", "default": "updated_at"},
    "stuck_statuses": {"type": "list", "elements": "raw", "default": ["processing"]},
    "threshold": {"type": "str", "default": "30m"},
    "action": {"type": "str", "choices": list(ACTIONS), "default": "reset"},
    "reset_to": {"type": "raw", "default": "pending"},
    "fail_to": {"type": "raw", "default": "failed"},
    "error_column": {"type": "str", "default": ""},
    "error_message": {"type": "str", "default": "Stuck, and set to failed by job_cleanup"},
    "jobs": {"type": "list", "elements": "str", "default": []},
    "respect_age": {"type": "bool", "default": False},
    "children": {"type": "list", "elements": "dict", "default": [], "options": CHILD},
    "busy_timeout": {"type": "float", "default": 30},
    "backup_directory": {"type": "path", "default": "/var/lib/evenkeel/job_cleanup"},
}


def result(reports: list[Report]) -> dict:
    return {
        "changed": any(report.changes for report in reports),
        "databases": [report.as_data() for report in reports],
        "msg": " ".join(report.sentence() for report in reports) or "No database was given.",
        "diff": [diff(report) for report in reports if report.changes],
    }


def diff(report: Report) -> dict:
    """The touched rows, one a line, before and after; a deleted one is no longer there."""
    kept = [row for row in report.rows if row.action != "delete"]
    return {
        "before_header": str(report.database),
        "after_header": str(report.database),
        "before": "".join(f"{row.table} {show(row.id)}: {row.before}\n" for row in report.rows),
        "after": "".join(f"{row.table} {show(row.id)}: {row.after}\n" for row in kept),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={"databases": {"type": "list", "elements": "dict", "required": True, "options": DATABASE}},
        supports_check_mode=True,
    )
    try:
        databases = [read_options(options) for options in module.params["databases"]]
    except StuckJobsError as error:
        module.fail_json(msg=str(error))
    outcome = result(clean_up(databases, dry_run=module.check_mode))
    if any(report["error"] for report in outcome["databases"]):
        outcome["msg"] = " ".join(report["error"] for report in outcome["databases"] if report["error"])
        module.fail_json(**outcome)
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
