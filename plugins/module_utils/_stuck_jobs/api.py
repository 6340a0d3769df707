# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the jobs that a crash left stuck in an application's database, and resets, fails or deletes them.

Plans page by page, as data, and writes exactly that plan in short batches, each row only if it is as it was read. It
needs only Python's standard library and _common (for PostgreSQL, psycopg as well): the modules sqlite_stuck_jobs and
postgresql_stuck_jobs import it, and the role job_cleanup copies it to the host for cleanup_stuck_jobs.py.

options  what to look for                     actions        what can be done with a stuck job
                                              engines        the code for one kind of database each
databases  which engine is for which          messages       a report on its way from one process to another
plan     what is stuck, and what to change    change         the elements of a plan
times    timestamps and ages                  pace           short transactions of as many rows as fit
record   the original rows, on disk           celery_client  asks workers and sends tasks, by celery_helper
tasks    the tasks of jobs that were reset    fills          the values of each row's own
history  a column of errors                   work           what the owner's process does
report   what was done                        environment    an application's environment file
run      each owner's process, and reports    undo           the reversal of a run
journal  what a run tells the journal             batches        what one transaction each writes
aside    other work while the database is busy

Root opens no database. A process that is a database's owner for good does all the work on it, with limits on time and
memory, and what it reports is checked.
"""

from __future__ import annotations

from .actions import ACTIONS
from .databases import engine_of, engine_of_record, read_database
from .journal import tell_journal
from .options import Database, StuckJobsError, Table
from .report import MOST_SHOWN, Report, Row, write_metrics
from .run import clean_up
from .undo import undo

__all__ = [
    "ACTIONS",
    "MOST_SHOWN",
    "Database",
    "Report",
    "Row",
    "StuckJobsError",
    "Table",
    "clean_up",
    "engine_of",
    "engine_of_record",
    "read_database",
    "tell_journal",
    "undo",
    "write_metrics",
]
