#!/usr/bin/env python3
# Managed by evenkeel.celery
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put back (or give up, or delete) the jobs that a crash left stuck.

examples:
  cleanup_stuck_jobs.py --dry-run                         what would happen; writes nothing
  cleanup_stuck_jobs.py                                   what the configuration says
  cleanup_stuck_jobs.py --action fail --threshold 2h      fail what is stuck for two hours
  cleanup_stuck_jobs.py --action delete --job 77cfa3cd    delete one job, by the beginning of its id
  cleanup_stuck_jobs.py --undo FILE                       undo a run: the rows are as they were before

Run it as root or as the databases' owner. What a run changes is recorded in /var/lib/evenkeel/job_cleanup/ first.

exit codes:
  0  nothing is stuck, or what was stuck is dealt with
  1  something is wrong (configuration, database, workers, an ambiguous id); the message says what
  2  the command line is wrong
  3  dry run: something is stuck
  4  a given job was not found, a row was skipped, or an undo left a job alone: see the output
"""

from __future__ import annotations

import argparse
import getpass
import json
import re
import sys
import syslog
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

# Leave no compiled copy of the engine behind in /usr/local/lib/evenkeel.
sys.dont_write_bytecode = True

from _engine._common.quantities import parse_duration  # noqa: E402
from _engine._stuck_jobs.api import (  # noqa: E402
    ACTIONS,
    Database,
    Report,
    StuckJobsError,
    clean_up,
    read_options,
    undo,
    write_metrics,
)
from _engine._stuck_jobs.engines.sqlite.engine import SQLite  # noqa: E402

CONFIG = "/etc/evenkeel/job_cleanup.json"
ROWS = 20  # that the table shows


def arguments() -> argparse.Namespace:
    summary, epilog = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--action", choices=list(ACTIONS), help="instead of the configured one")
    parser.add_argument("--dry-run", action="store_true", help="only say what would happen")
    parser.add_argument(
        "--threshold",
        metavar="AGE",
        help="leave younger jobs alone: 30m, 2h, 1d, '1h 30min', or a number of minutes (which the configuration takes"
        " for seconds)",
    )
    parser.add_argument(
        "--job",
        metavar="ID",
        action="append",
        default=[],
        help="only this job (or the beginning of its id), whatever its age unless --threshold is given; repeatable",
    )
    parser.add_argument(
        "--database", metavar="NAME", action="append", default=[], help="only this configured database; repeatable"
    )
    parser.add_argument("--config", metavar="FILE", default=CONFIG, help=f"default: {CONFIG}")
    parser.add_argument("--json", action="store_true", help="print the whole plan, or all that was done, as JSON")
    parser.add_argument("--quiet", action="store_true", help="print only what is wrong")
    parser.add_argument(
        "--undo", metavar="FILE", help="put back what the run of this record changed, and do nothing else"
    )
    return parser.parse_args()


def main() -> int:
    args = arguments()
    try:
        if args.undo:
            undone = undo(SQLite, args.undo, args.dry_run)
            print(undone.sentence)
            if not args.dry_run:
                tell_journal([(syslog.LOG_NOTICE, undone.sentence)])
            return 4 if undone.left else 0
        config = configuration(args)
        databases = [asked_for(database, args) for database in configured(config, args)]
        check_each_is_one(databases, args.job)
    except StuckJobsError as error:
        print(error, file=sys.stderr)
        return 1
    reports = clean_up(SQLite, databases, dry_run=args.dry_run, shown=sys.maxsize if args.json else ROWS)
    # A given id belongs to one of the databases; it is only unknown where none of them knows it.
    missing = [job for job in args.job if reports and all(job in report.unknown for report in reports)]
    for report in reports:
        report.unknown.clear()
    if args.json:
        print(json.dumps({"databases": [report.as_data() for report in reports], "unknown": missing}, indent=2))
    else:
        tell(reports, missing, args.quiet)
    if not args.dry_run:
        tell_journal((syslog.LOG_ERR if each.error else syslog.LOG_NOTICE, each.sentence()) for each in reports)
        if config.get("metrics_file"):
            try:
                write_metrics(config["metrics_file"], reports)
            except OSError as error:
                print(f"metrics_file can't be written: {error}. Let {getpass.getuser()} write there.", file=sys.stderr)
                return 1
    return exit_code(reports, missing, args.dry_run)


def configuration(args: argparse.Namespace) -> dict[str, Any]:
    try:
        config = json.loads(Path(args.config).read_text(encoding="utf-8"))
        if isinstance(config["databases"], list):
            return config
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StuckJobsError(f"{args.config} can't be read: {error}.") from error
    raise StuckJobsError(f"{args.config} can't be read: its databases are no list.")


def configured(config: dict[str, Any], args: argparse.Namespace) -> list[Database]:
    databases = [read_options(options) for options in config["databases"]]
    names = [database.name for database in databases]
    for name in args.database:
        if name not in names:
            raise StuckJobsError(f"{args.config} has no database {name!r}. It has: {', '.join(names) or 'none'}.")
    return [database for database in databases if not args.database or database.name in args.database]


def asked_for(database: Database, args: argparse.Namespace) -> Database:
    """The configured database with what the command line says instead."""
    if args.threshold is not None:
        database = replace(database, threshold=age(args.threshold), respect_age=True)
    if not all(args.job):
        raise StuckJobsError("--job: an empty id is the beginning of every id. Write the job's.")
    action = ACTIONS[args.action] if args.action else database.action
    return replace(database, action=action, jobs=tuple(args.job))


def age(text: str) -> str:
    """What --threshold says, where a bare number is minutes, as the engine has it, where it is seconds."""
    duration = f"{text}min" if re.fullmatch(r"[\d.]+", text) else text
    try:
        parse_duration(duration)
    except ValueError:
        raise StuckJobsError(
            f"--threshold: {text!r} is not an age. Write 30m, 2h, 1d, '1h 30min' or a number of minutes."
        ) from None
    return duration


def check_each_is_one(databases: list[Database], jobs: list[str]) -> None:
    """A given id means one job, not one in each database that happens to have such an id."""
    if not jobs or len(databases) == 1:
        return
    reports = clean_up(SQLite, databases, dry_run=True, ask_workers=False, shown=0)
    for report in reports:
        if report.error:
            raise StuckJobsError(f"--job: {report.error} Or add --database with the one that has the job.")
    for job in jobs:
        names = [report.database.name for report in reports if job not in report.unknown]
        if len(names) > 1:
            raise StuckJobsError(
                f"--job: {' and '.join(names)} each have a job {job!r}. Add --database with one of them."
            )


def tell(reports: list[Report], missing: list[str], quiet: bool) -> None:
    if not quiet:
        print_table(reports)
    for report in reports:
        if report.error:
            print(report.sentence(), file=sys.stderr)
        elif not quiet:
            print(report.sentence())
    for job in missing:
        print(f"No job begins with {job!r}.", file=sys.stderr)
    if not reports:
        print("No database is configured.")


def print_table(reports: list[Report]) -> None:
    rows = []
    for report in reports:
        for row in report.rows:
            rows.append((row.shape.table.table, row.id, f"{row.status} -> {row.becomes}", row.why))
        rows += [(note.table, note.id, "left alone", note.why) for note in (*report.moved_on, *report.skipped)]
    more = sum(report.count + report.moved_on_count + report.skipped_count for report in reports) - len(rows[:ROWS])
    widths = [max(map(len, column)) for column in zip(*rows[:ROWS])]
    for row in rows[:ROWS]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    if more:
        print(f"… and {more} more (--json shows all)")


def tell_journal(entries: Iterable[tuple[int, str]]) -> None:
    """By syslog, which systemd's journal reads: also of a run by hand it is known later who changed what."""
    syslog.openlog("evenkeel-job-cleanup", syslog.LOG_PID, syslog.LOG_CRON)
    for priority, sentence in entries:
        syslog.syslog(priority, sentence)


def exit_code(reports: list[Report], missing: list[str], dry_run: bool) -> int:
    if any(report.error for report in reports):
        return 1
    if missing or any(report.skipped_count for report in reports):
        return 4
    return 3 if dry_run and any(report.changed for report in reports) else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # a terminal that has no … must not end a run
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted. What is done is done whole, and recorded; run this again for the rest.")
