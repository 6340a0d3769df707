#!/usr/bin/python3 -I
# Managed by evenkeel.celery
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reset, fail or delete the jobs that a crash left stuck.

examples:
  cleanup_stuck_jobs.py --dry-run                         report what would be done; change nothing
  cleanup_stuck_jobs.py                                   clean up as configured
  cleanup_stuck_jobs.py --action fail --threshold 2h      fail what is stuck for two hours
  cleanup_stuck_jobs.py --action delete --job 77cfa3cd    delete one job, by the beginning of its id
  cleanup_stuck_jobs.py --undo FILE                       undo a run: restore the rows that it changed

Run it as root or as the databases' owner. Rows are recorded in /var/lib/evenkeel/job_cleanup/ before they are changed.

exit codes:
  0  no job is stuck, or all stuck jobs have been dealt with
  1  an error (configuration, database, workers, an ambiguous id); see the message
  2  an error in the command line
  3  dry run: there are stuck jobs
  4  a given job was not found, a row was skipped, or an undo left a job alone: see the output
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

# Write no bytecode of the engine to /usr/local/lib/evenkeel.
sys.dont_write_bytecode = True
# Isolated mode (-I), in which neither PATH nor PYTHONPATH of whoever calls decides what root runs, leaves this out.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from _engine._common.quantities import parse_duration  # noqa: E402
from _engine._stuck_jobs.api import (  # noqa: E402
    ACTIONS,
    MOST_SHOWN,
    Database,
    Report,
    StuckJobsError,
    clean_up,
    engine_of,
    engine_of_record,
    read_database,
    tell_journal,
    undo,
    write_metrics,
)

CONFIG = "/etc/evenkeel/job_cleanup.json"  # and job_cleanup.PROJECT.json for each project
ROWS = 20  # that the table shows


def arguments() -> argparse.Namespace:
    summary, epilog = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--action", choices=list(ACTIONS), help="instead of the configured one")
    parser.add_argument("--dry-run", action="store_true", help="only report what would be done")
    parser.add_argument(
        "--threshold",
        metavar="AGE",
        help="leave younger jobs alone: 30m, 2h, 1d, '1h 30min', or a number of minutes (in the configuration, a number"
        " is seconds)",
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
    parser.add_argument("--config", metavar="FILE", help="default: the only job_cleanup*.json in /etc/evenkeel")
    parser.add_argument("--json", action="store_true", help="print the plan, or what was done, as JSON")
    parser.add_argument("--quiet", action="store_true", help="print only errors")
    parser.add_argument(
        "--undo", metavar="FILE", help="restore the rows that the run with this record changed, and do nothing else"
    )
    return parser.parse_args()


def main() -> int:
    args = arguments()
    try:
        if args.undo:
            undone = undo(engine_of_record, args.undo, args.dry_run, map(engine_of, all_configured(args)))
            print(undone.sentence)
            if not args.dry_run:
                tell_journal(undone.sentence)
            return 4 if undone.left else 0
        args.config = args.config or only_config()
        config = configuration(args.config)
        databases = [asked_for(database, args) for database in configured(config, args)]
        check_each_is_one(databases, args.job)
    except StuckJobsError as error:
        print(error, file=sys.stderr)
        return 1
    reports = clean_up(engine_of, databases, dry_run=args.dry_run, shown=MOST_SHOWN if args.json else ROWS)
    # A given id belongs to one of the databases. It is unknown only if none of them has it.
    missing = [job for job in args.job if reports and all(job in report.unknown for report in reports)]
    for report in reports:
        report.unknown.clear()
    if args.json:
        print(json.dumps({"databases": [report.as_data() for report in reports], "unknown": missing}, indent=2))
    else:
        tell(reports, missing, args.quiet)
    if not args.dry_run:
        for report in reports:
            tell_journal(report.sentence(), report)
        if config.get("metrics_file"):
            try:
                write_metrics(config["metrics_file"], reports)
            except OSError as error:
                user = getpass.getuser()
                print(f"metrics_file can't be written: {error}. Give {user} write permission.", file=sys.stderr)
                return 1
    return exit_code(reports, missing, args.dry_run)


def configs() -> list[str]:
    default = Path(CONFIG)
    return sorted(map(str, [*default.parent.glob(default.name), *default.parent.glob("job_cleanup.*.json")]))


def all_configured(args: argparse.Namespace) -> Iterator[Database]:
    """The databases of all projects, as far as they can be read."""
    for path in [args.config] if args.config else configs():
        with contextlib.suppress(StuckJobsError):
            yield from configured(configuration(path), args)


def only_config() -> str:
    found = configs()
    if len(found) > 1:
        raise StuckJobsError(f"This host has several projects. Add --config with one of: {', '.join(found)}.")
    return found[0] if found else CONFIG


def configuration(path: str) -> dict[str, Any]:
    try:
        config = json.loads(Path(path).read_text(encoding="utf-8"))
        if isinstance(config["databases"], list):
            return config
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StuckJobsError(
            f"{path} can't be read: {error}. Correct it, or run the role job_cleanup again."
        ) from error
    raise StuckJobsError(f"{path}: databases is not a list. Correct it, or run the role job_cleanup again.")


def configured(config: dict[str, Any], args: argparse.Namespace) -> list[Database]:
    databases = [read_database(options) for options in config["databases"]]
    names = [database.name for database in databases]
    for name in args.database:
        if name not in names:
            known = ", ".join(names) or "none"
            raise StuckJobsError(f"--database: {name!r} is not in {args.config}. There are: {known}.")
    return [database for database in databases if not args.database or database.name in args.database]


def asked_for(database: Database, args: argparse.Namespace) -> Database:
    """The configured database with the options of the command line."""
    if args.threshold is not None:
        database = replace(database, threshold=age(args.threshold), respect_age=True)
    if not all(args.job):
        raise StuckJobsError("--job is empty, which every id begins with. Set the job's id.")
    action = ACTIONS[args.action] if args.action else database.action
    return replace(database, action=action, jobs=tuple(args.job))


def age(text: str) -> str:
    """The duration of --threshold, where a bare number is minutes, in the engine's grammar, where it is seconds."""
    duration = f"{text}min" if re.fullmatch(r"[\d.]+", text) else text
    try:
        parse_duration(duration)
    except ValueError:
        raise StuckJobsError(
            f"--threshold: {text!r} is not a duration. Write 30m, 2h, 1d, '1h 30min' or a number of minutes."
        ) from None
    return duration


def check_each_is_one(databases: list[Database], jobs: list[str]) -> None:
    """A given id must not match jobs in several databases."""
    if not jobs or len(databases) == 1:
        return
    reports = clean_up(engine_of, databases, dry_run=True, ask_workers=False, shown=0)
    for report in reports:
        if report.error:
            raise StuckJobsError(f"--job: {report.error} Or add --database with the database that has the job.")
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
            rows.append((row.table, row.id, f"{row.status} -> {row.becomes}", row.why))
        rows += [(note.table, note.id, "left alone", note.why) for note in (*report.moved_on, *report.skipped)]
    more = sum(report.count + report.moved_on_count + report.skipped_count for report in reports) - len(rows[:ROWS])
    widths = [max(map(len, column)) for column in zip(*rows[:ROWS])]
    for row in rows[:ROWS]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    if more:
        print(f"… and {more} more (--json shows up to {MOST_SHOWN})")


def exit_code(reports: list[Report], missing: list[str], dry_run: bool) -> int:
    if any(report.error for report in reports):
        return 1
    if missing or any(report.skipped_count for report in reports):
        return 4
    return 3 if dry_run and any(report.changed for report in reports) else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # a terminal whose encoding has no … must not end a run
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted. Each finished batch is complete and recorded. Run this again for the rest.")
