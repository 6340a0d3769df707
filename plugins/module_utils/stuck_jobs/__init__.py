# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the jobs that a crash left stuck in an application's SQLite database, and resets, fails or deletes them.

Plans page by page, as data, and writes that very plan in short, fenced batches. It needs nothing but Python's standard
library: the module sqlite_stuck_jobs imports it, and the role job_cleanup copies it beside cleanup_stuck_jobs.py.

options    what to look for                     schema   what the database is really like
access     as the owner, never creating         rows     reads the jobs, page by page
plan       what is stuck, and what is to be     change   the plan's elements
times      timestamps and ages                  write    short transactions, paced
record     what was there before, on disk       workers  asks Celery, sends tasks
report     what was done                        run      all of it, in order; and the undo
"""

from __future__ import annotations

from .change import Change, Note, plain, show
from .options import ACTIONS, ERROR_MODES, POLICIES, Database, StuckJobsError, Table, read_options
from .report import Report, write_metrics
from .run import clean_up, undo
from .times import parse_threshold, parse_time

__all__ = [
    "ACTIONS",
    "ERROR_MODES",
    "POLICIES",
    "Change",
    "Database",
    "Note",
    "Report",
    "StuckJobsError",
    "Table",
    "clean_up",
    "parse_threshold",
    "parse_time",
    "plain",
    "read_options",
    "show",
    "undo",
    "write_metrics",
]
