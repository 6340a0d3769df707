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
  - Finds jobs that have had a status such as C(processing) for too long in the SQLite database of an application, and
    resets, fails or deletes them.
  - First makes a plan, which check mode and C(--diff) show, then carries it out in short transactions, with pauses for
    the application's own writes. A job that moved on in the meantime is left alone and reported.
  - Every row is recorded before it is changed; C(cleanup_stuck_jobs.py --undo) restores it.
  - A job whose age is in doubt is never treated as stuck. A timestamp that is NULL, unreadable, before 1980 or in the
    future is skipped and reported.
  - Timestamps may be ISO 8601 with C(T) or a space, with a fraction, with C(Z) or an offset; epochs in s, ms or µs; or
    a Julian day.
extends_documentation_fragment:
  - evenkeel.celery.databases.sqlite
notes:
  - Run it as the owner of the database or as root. For root, a process that is the owner does the work, with limits on
    its time and memory; so it can do no more than the owner, and the files that SQLite makes beside the database belong
    to the application.
  - The owner has to be certain. Root refuses a database if another user than its owner can put a file in its place.
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

- name: Send orders again that no worker is executing, three times at most
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
        - Where the task of a job gets a countdown, C(countdown) is a list of the least and the most seconds of it.
        - All of them are in the record.
      type: list
      elements: dict
      returned: always
      sample: [{table: jobs, id: 77cfa3cd, action: reset, from: processing, to: pending, why: processing for 3 d}]
    skipped:
      description:
        - The first 200 rows that were not touched, with C(table), C(id) and C(why).
        - C(why) is, for example, an unreadable timestamp, or a worker that is executing the job.
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
      description: Given ids that are no beginning of any job's id.
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
      description: For how long the transactions held the database, in all.
      type: float
      returned: always
    longest_lock_seconds:
      description: The longest time for which one transaction held the database.
      type: float
      returned: always
    owner:
      description: The user who owns the database, as whom the work is done.
      type: str
      returned: always
      sample: slideshow
    record:
      description: The file with the original rows; empty if nothing changed.
      type: str
      returned: always
      sample: /var/lib/evenkeel/job_cleanup/slideshow/batches-20260118T103000Z-x1y2.jsonl
    error:
      description: The error in this database; empty if there was none.
      type: str
      returned: always
    summary:
      description: All this in one sentence.
      type: str
      returned: always
"""

from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite.options import SQLiteDatabase
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.for_modules import run
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.option_table import SQLITE_DATABASES


def main() -> None:
    run(SQLITE_DATABASES, SQLiteDatabase)


if __name__ == "__main__":
    main()
