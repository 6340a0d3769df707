# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What on this host, or in the options, would keep the clean-up of stuck jobs from working. Reads only."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.evenkeel.celery.plugins.module_utils._common.paths import CONFIGURATION
from ansible_collections.evenkeel.celery.plugins.module_utils._common.users import service_identity
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    Database,
    StuckJobsError,
    clean_up,
    engine_of,
    read_database,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.environment import files_of
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.options import nearest

Options = Mapping[str, Any]


def errors(databases: Sequence[Options], once: Sequence[Options], cron_user: str | None) -> Iterator[str]:
    """All errors, each a sentence.

    once: the clean-ups to do once, each with all the options of its database.
    cron_user: the user as whom cron runs the script; empty for the databases' owner, None without cron.
    """
    yield from password_errors(databases)
    counts = Counter(str(options.get("name")) for options in databases)
    for name in (name for name, count in counts.items() if count > 1):
        yield f"databases: name {name!r} is used by {counts[name]} databases. Set a different one for each."
    unknown = [str(options.get("name")) for options in once if str(options.get("name")) not in counts]
    for name in unknown:
        yield f"once: there is no database {name!r}. {nearest(name, counts)}"
    owners = set()
    for options in [*databases, *(options for options in once if str(options.get("name")) in counts)]:
        try:
            # Workers are not asked: they may not be deployed yet, or they may be what this play repairs.
            database = read_database(options)
            (report,) = clean_up(engine_of, [database], dry_run=True, ask_workers=False, shown=0)
        except StuckJobsError as error:
            yield str(error)
            continue
        yield from environment_file_errors(database, cron_user)
        if report.error:
            yield report.error
        else:
            owners.add(report.owner)
    if cron_user is not None:
        yield from cron_user_errors(cron_user, owners)


def cron_user_errors(cron_user: str, owners: Collection[str]) -> Iterator[str]:
    """Errors about cron's user (empty: the databases' owner), for databases of these owners."""
    if cron_user and not _has_name(cron_user):
        yield f"cron_user: user {cron_user!r} does not exist on this host. Create it, or set another."
    belong = f"the databases belong to {', '.join(sorted(owners))}"
    root = "root, which works as each owner in turn"
    if not cron_user and (len(owners) > 1 or not all(map(_has_name, owners))):
        yield f"cron_user is empty, but {belong}. Set {root}."
    elif not cron_user and "root" in owners:
        yield f"cron_user is empty, but {belong}. Set root if cron is to run as root, or give them to the application."
    if cron_user not in ("", "root") and any(owner != cron_user for owner in owners):
        yield f"cron_user is {cron_user}, but {belong}. Set the owner of all of them, or {root}."


def passwords(databases: Sequence[Options]) -> set[str]:
    """The passwords among the options, which are refused, and must not be shown."""
    return {str(options["login_password"]) for options in databases if options.get("login_password")}


def password_errors(databases: Sequence[Options]) -> Iterator[str]:
    """Errors about passwords, which would stand in the configuration."""
    for options in databases:
        if options.get("login_password"):
            yield (
                f"{options.get('name')}: login_password would stand in {CONFIGURATION}, where every user can read it."
                " Set passfile, service or environment_file instead."
            )


def environment_file_errors(database: Database, cron_user: str | None) -> Iterator[str]:
    """Errors about files that only root can read, if cron does not run as root."""
    for where, path in zip(("", "celery: "), files_of(engine_of(database))):
        if path and cron_user not in (None, "root") and _is_secret_of_root(path):
            yield (
                f"{database.name}: {where}only root can read environment_file {path}, but cron_user is"
                f" {cron_user or 'empty'}, so cron runs the script as the databases' owner. Set root, which reads the"
                " file and works as each owner in turn, or name a file that the owner can read."
            )


def _is_secret_of_root(path: str) -> bool:
    if Path(path).parent == Path(CONFIGURATION):
        return True  # a service's environment: this play may only be about to write it
    try:
        status = Path(path).stat()
    except OSError:
        return False  # whoever reads it meets the same error, and reports it
    return status.st_uid == 0 and not status.st_mode & (stat.S_IRGRP | stat.S_IROTH)


def _has_name(user: str) -> bool:
    """Whether the user exists on this host, rather than only a UID that owns a file."""
    try:
        service_identity(user)
    except KeyError:
        return False
    return True
