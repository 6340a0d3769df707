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
options:
  databases:
    description: The databases to look into. One file with two kinds of jobs is two entries.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What this database is called in messages and in the names of records.
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
        description: The column that names one job, the primary key or one that is unique; several for a composite key.
        type: list
        elements: str
        default: [id]
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
      fallback_time_column:
        description: The column to look at where O(databases[].time_column) is NULL, such as V(created_at).
        type: str
        default: ""
      time_zone:
        description: The zone of timestamps without an offset, by its name in the tz database.
        type: str
        default: UTC
      stuck_statuses:
        description: The statuses in which a job can be stuck.
        type: list
        elements: raw
        default: [processing]
      threshold:
        description:
          - The age from which a job counts as stuck, such as V(30m), V(2h), V(1d) or V(1h 30min).
          - A bare number is seconds.
        type: str
        default: 30m
      thresholds:
        description: Other thresholds, by the value of O(databases[].threshold_column).
        type: dict
        default: {}
      threshold_column:
        description: A column such as that of the queue; the status column if empty.
        type: str
        default: ""
      action:
        description: What is done with a stuck job. All of it can be undone from the record of the run.
        type: str
        choices: [reset, fail, delete]
        default: reset
      reset_to:
        description: The status that V(reset) sets. Null is NULL.
        type: raw
        default: pending
      reset_set:
        description: "Other columns that V(reset) sets, such as C({started_at: null, worker: null})."
        type: dict
        default: {}
      fail_to:
        description: The status that V(fail) sets. Null is NULL.
        type: raw
        default: failed
      fail_set:
        description: Other columns that V(fail) sets.
        type: dict
        default: {}
      error_column:
        description: A column that gets O(databases[].error_message) when a job is failed; none if empty.
        type: str
        default: ""
      error_mode:
        description: Whether the message takes the place of what stands there, or follows it on a line of its own.
        type: str
        choices: [replace, append]
        default: replace
      error_message:
        description:
          - What stands in O(databases[].error_column) then.
          - It may hold C({id}), C({status}), C({age}) and C({attempts}).
        type: str
        default: Stuck in {status} for {age}, and set to failed by job_cleanup
      attempts_column:
        description: A column that counts the attempts.
        type: str
        default: ""
      count_attempts:
        description: Whether a reset adds one to O(databases[].attempts_column); V(false) where the application counts.
        type: bool
        default: true
      max_attempts:
        description:
          - Fail a job instead of resetting it once it was attempted as often. V(0) is no cap.
          - Without a cap a job that kills its worker comes back for ever.
        type: int
        default: 0
      jobs:
        description:
          - Only these jobs, by their ids or unambiguous beginnings of them, whatever their age. They still have to
            be stuck.
          - A binary id is written in hex, a composite one with V(/) between its parts.
        type: list
        elements: str
        default: []
      respect_age:
        description: Whether given jobs, too, have to be older than O(databases[].threshold).
        type: bool
        default: false
      children:
        description:
          - Tables whose rows belong to a job and go the same way with it.
          - Each may have C(children) of its own, with the same options.
        type: list
        elements: dict
        default: []
        suboptions:
          table:
            description: The table of the children.
            type: str
            required: true
          foreign_key:
            description: The column that holds the id of the job; as many as the id has.
            type: list
            elements: str
            required: true
          id_column:
            description: The column that names one child; several for a composite key.
            type: list
            elements: str
            default: [id]
          status_column:
            description: The column of the status. Empty means that there is none, and only V(delete) touches the child.
            type: str
            default: status
          stuck_statuses:
            description: The statuses in which a child is reset or failed with its job; by default those of the job.
            type: list
            elements: raw
          reset_to:
            description: By default that of the job. Null is NULL.
            type: raw
          reset_set:
            description: Other columns of the child that V(reset) sets.
            type: dict
            default: {}
          fail_to:
            description: By default that of the job. Null is NULL.
            type: raw
          fail_set:
            description: Other columns of the child that V(fail) sets.
            type: dict
            default: {}
          error_column:
            description: A column of the child that gets the message; none if empty.
            type: str
            default: ""
          error_mode:
            description: As O(databases[].error_mode).
            type: str
            choices: [replace, append]
            default: replace
          error_message:
            description: By default that of the job.
            type: str
          children:
            description: The children's children, with the same options.
            type: list
            elements: dict
            default: []
      celery:
        description:
          - The application whose workers are asked what they are doing. A job that one of them is executing, has
            reserved or has scheduled is not stuck, whatever its age.
          - Databases that have the same application, but for O(databases[].celery.task_id_column) and
            O(databases[].celery.unreachable), are served by one answer.
          - Each worker needs a node name of its own (C(celery worker -n)). Where several share one, it is only known
            what they are doing if all of them answer every question.
        type: dict
        suboptions:
          app:
            description: As for C(celery --app).
            type: str
            required: true
          directory:
            description: The directory from which the application is imported.
            type: path
            required: true
          python:
            description: The interpreter of its virtual environment.
            type: path
            required: true
          environment_file:
            description:
              - A file with its environment, such as C(/etc/evenkeel/celery-worker.env).
              - The database's owner can read it, or it is root's in directories of root's.
            type: path
            default: ""
          workers:
            description:
              - The nodes that all have to answer. Once they have, others of their names are waited for as long again,
                at least for a second.
              - If none is named, all have O(databases[].celery.timeout) to answer, and the answer of one of this
                application's is enough.
            type: list
            elements: str
            default: []
          timeout:
            description: For how many seconds to wait for answers at most.
            type: float
            default: 5
          task_id_column:
            description:
              - The column that holds the id of the job's task.
              - Without one, the job's id among the arguments of a task tells.
            type: str
            default: ""
          unreachable:
            description:
              - What to do when it is not known what the workers are doing.
              - V(abort) changes nothing, V(ignore) trusts the age alone.
              - If empty, it is V(abort) for V(reset) and V(delete), V(ignore) for V(fail).
            type: str
            choices: ["", abort, ignore]
            default: ""
      requeue:
        description:
          - The task to send, through O(databases[].celery), for each job that was reset, once the reset is committed.
          - If it can't be sent, the rows are put back as they were, for the next run to find.
        type: dict
        suboptions:
          task:
            description: The task's name.
            type: str
            required: true
          args:
            description: Its arguments. C({id}) is the job's id.
            type: list
            elements: raw
            default: ["{id}"]
          kwargs:
            description: Its keyword arguments.
            type: dict
            default: {}
          queue:
            description: Its queue; where the application routes it, if empty.
            type: str
            default: ""
      busy_timeout:
        description: For how many seconds to wait for another process that holds the database, or for another clean-up.
        type: float
        default: 30
      record_directory:
        description: Where the record of each run is kept, in a directory of the database's owner.
        type: path
        default: /var/lib/evenkeel/job_cleanup
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
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.actions import RESET, that_set
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    ACTIONS,
    ERROR_MODES,
    POLICIES,
    Change,
    Report,
    StuckJobsError,
    clean_up,
    in_words,
    read_options,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite.engine import SQLite


class Unsaid(str):
    """Stands for an option that a task does not have, where null is a value."""


def unsaid() -> Unsaid:
    return Unsaid("as for the job")


CHILD = {
    "table": {"type": "str", "required": True},
    "foreign_key": {"type": "list", "elements": "str", "required": True, "no_log": False},
    "id_column": {"type": "list", "elements": "str", "default": ["id"]},
    "status_column": {"type": "str", "default": "status"},
    "stuck_statuses": {"type": "list", "elements": "raw"},
    **{action.to_option: {"type": "raw", "fallback": (unsaid,)} for action in that_set()},
    **{action.set_option: {"type": "dict", "default": {}} for action in that_set()},
    "error_column": {"type": "str", "default": ""},
    "error_mode": {"type": "str", "choices": list(ERROR_MODES), "default": "replace"},
    "error_message": {"type": "str"},
    "children": {"type": "list", "elements": "dict", "default": []},
}
CELERY = {
    "app": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "python": {"type": "path", "required": True},
    "environment_file": {"type": "path", "default": ""},
    "workers": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "float", "default": 5},
    "task_id_column": {"type": "str", "default": ""},
    "unreachable": {"type": "str", "choices": list(POLICIES), "default": ""},
}
REQUEUE = {
    "task": {"type": "str", "required": True},
    "args": {"type": "list", "elements": "raw", "default": ["{id}"]},
    "kwargs": {"type": "dict", "default": {}},
    "queue": {"type": "str", "default": ""},
}
DATABASE = {
    "name": {"type": "str", "required": True},
    "path": {"type": "path", "required": True},
    "table": {"type": "str", "required": True},
    "id_column": {"type": "list", "elements": "str", "default": ["id"]},
    "status_column": {"type": "str", "default": "status"},
    "time_column": {"type": "str", "default": "updated_at"},
    "fallback_time_column": {"type": "str", "default": ""},
    "time_zone": {"type": "str", "default": "UTC"},
    "stuck_statuses": {"type": "list", "elements": "raw", "default": ["processing"]},
    "threshold": {"type": "str", "default": "30m"},
    "thresholds": {"type": "dict", "default": {}},
    "threshold_column": {"type": "str", "default": ""},
    "action": {"type": "str", "choices": list(ACTIONS), "default": RESET.name},
    **{action.to_option: {"type": "raw", "default": action.status} for action in that_set()},
    **{action.set_option: {"type": "dict", "default": {}} for action in that_set()},
    "error_column": {"type": "str", "default": ""},
    "error_mode": {"type": "str", "choices": list(ERROR_MODES), "default": "replace"},
    "error_message": {
        "type": "str",
        "default": "Stuck in {status} for {age}, and set to failed by job_cleanup",
    },
    "attempts_column": {"type": "str", "default": ""},
    "count_attempts": {"type": "bool", "default": True},
    "max_attempts": {"type": "int", "default": 0},
    "jobs": {"type": "list", "elements": "str", "default": []},
    "respect_age": {"type": "bool", "default": False},
    "children": {"type": "list", "elements": "dict", "default": [], "options": CHILD},
    "celery": {"type": "dict", "options": CELERY},
    "requeue": {"type": "dict", "options": REQUEUE},
    "busy_timeout": {"type": "float", "default": 30},
    "record_directory": {"type": "path", "default": "/var/lib/evenkeel/job_cleanup"},
}


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
            "databases": {"type": "list", "elements": "dict", "required": True, "options": DATABASE},
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
