#!/usr/bin/python
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_stuck_jobs
short_description: Reset, fail or delete the jobs that a crash left stuck in PostgreSQL
version_added: "0.2.0"
author:
  - The evenkeel developers (@evenkeel)
description:
  - Does for a database of PostgreSQL what M(evenkeel.celery.sqlite_stuck_jobs) does for one of SQLite.
  - It waits for no row, and no other session waits for it for longer than one short transaction. A row that another
    session has locked is left alone and reported.
  - Ages are counted from the server's clock.
  - Its settings are those of single transactions, so it works through PgBouncer with any C(pool_mode).
  - Check mode also works on a standby.
extends_documentation_fragment:
  - evenkeel.celery.databases.postgresql
requirements:
  - psycopg 3 or psycopg2 for the Python of the host, in Debian C(python3-psycopg) and C(python3-psycopg2)
  - PostgreSQL 13 or later
notes:
  - Run it as O(databases[].system_user) or as root. For root, a process that is this user does the work, with limits on
    its time and memory.
  - A role that is a superuser, or can do more than use tables, is refused, whoever owns these, because triggers and
    checks of the application's run with the rights of whoever writes.
  - A password belongs in a O(databases[].passfile), a O(databases[].service) or the application's own
    O(databases[].environment_file).
  - C(cleanup_stuck_jobs.py --undo FILE) of the role P(evenkeel.celery.job_cleanup#role) undoes a run.
attributes:
  check_mode:
    support: full
    description: Reads in read-only transactions.
  diff_mode:
    support: full
    description: Shows every row with its status before and after.
"""

EXAMPLES = r"""
- name: See what is stuck
  evenkeel.celery.postgresql_stuck_jobs:
    databases:
      - name: uploads
        system_user: peakops
        login_db: peakops
        table: uploads_upload
        stuck_statuses: [PROCESSING]
  check_mode: true
  diff: true

- name: Fail videos that have been processed for two hours
  evenkeel.celery.postgresql_stuck_jobs:
    databases:
      - name: uploads
        system_user: peakops
        environment_file: /etc/peakops.env
        table: uploads_upload
        stuck_statuses: [PROCESSING]
        threshold: 2h
        action: fail
        fail_to: FAILED
        error_column: error_message
"""

RETURN = r"""
databases:
  description:
    - What was done in each database, or what would be done.
    - As M(evenkeel.celery.sqlite_stuck_jobs) returns it, with the options that say where the database is in place of
      C(path).
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql.options import (
    PostgreSQLDatabase,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.for_modules import run
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.option_table import POSTGRESQL_DATABASES


def main() -> None:
    run(POSTGRESQL_DATABASES, PostgreSQLDatabase)


if __name__ == "__main__":
    main()
