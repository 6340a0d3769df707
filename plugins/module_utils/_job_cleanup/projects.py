# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the databases are that a host cleans up: each project has a configuration and a schedule of its own.

A play without a project's name shares one configuration with all others that have none. It is this play's if it has one
of its files; otherwise another inventory has made it, and it is left alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.evenkeel.celery.plugins.module_utils._common import files
from ansible_collections.evenkeel.celery.plugins.module_utils._common.project import (
    paths_by_project,
    project_errors,
    taking_over,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import printable
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup import plan
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.databases import where

Options = Mapping[str, Any]
_MOST = 2**24  # bytes


@dataclass(frozen=True)
class Configuration:
    """What is cleaned up for a project."""

    databases: Sequence[Options]
    metrics_file: str = ""
    owners: Mapping[str, str] = field(default_factory=dict)  # users by the databases' names


There = Mapping[str, Configuration]  # by their projects; empty: that of plays without a project's name


@dataclass(frozen=True)
class Play:
    """What a play wants.

    take_over: names of databases that are its own from now on, whosever they were.
    """

    project: str
    wanted: Configuration
    take_over: Collection[str] = ()


def play(options: Options) -> Play:
    """What a play wants by a module's options."""
    return Play(
        options["project"],
        Configuration(options["databases"], options.get("metrics_file") or ""),
        options["take_over"],
    )


def there() -> dict[str, Configuration]:
    """The configurations on this host. One that is damaged has no databases."""
    return {project: _read(path) for project, path in paths_by_project(plan.CONFIG).items()}


def _read(path: Path) -> Configuration:
    try:
        stored = json.loads(files.read_start(path, _MOST))
        databases = [each for each in stored["databases"] if isinstance(each, dict)]
        owners = {str(name): str(owner) for name, owner in stored.get("owners", {}).items()}
        return Configuration(databases, str(stored.get("metrics_file") or ""), owners)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Configuration([])


def errors(play: Play, configurations: There) -> Iterator[str]:
    """Why the play can't clean up its databases, each a sentence."""
    yield from project_errors(play.project)
    others = others_after(play, configurations)
    for project, configuration in others.items():
        whose = f"project '{project}'" if project else "a play without a project"
        for database in play.wanted.databases:
            if _key(database) in map(_key, configuration.databases):
                yield (
                    f"{printable(database.get('name'))}: the table {printable(database.get('table'))!r} in"
                    f" {printable(where(database))} is cleaned up for {whose} already. Remove it from one of them."
                    f" To take it over, add {taking_over(str(database.get('name')))}."
                )
        if play.wanted.metrics_file and play.wanted.metrics_file == configuration.metrics_file:
            yield f"metrics_file {play.wanted.metrics_file!r} is that of {whose} already. Set another one."
    if play.wanted.databases:
        yield from left_alone(play, configurations)


def left_alone(play: Play, configurations: There) -> Iterator[str]:
    """A sentence if the configuration of plays without a project's name may be another inventory's."""
    if play.project or not configurations.get(""):
        return
    databases = configurations[""].databases
    own = {_place(database) for database in play.wanted.databases}
    if databases and not any(_place(each) in own or each.get("name") in play.take_over for each in databases):
        names = ", ".join(printable(f"{each.get('name')} ({where(each)})") for each in databases)
        yield (
            f"This host cleans up {names} for a play without a project, which may not have been this one, so that is"
            " left as it is. Set evenkeel_project in each play that deploys to this host. If the databases are this"
            f" one's, and to be replaced by its list, add {taking_over(str(databases[0].get('name')))}."
        )


def others_after(play: Play, configurations: There) -> dict[str, Configuration]:
    """The other projects' configurations, without the databases that are the play's from now on."""
    own = {_key(database) for database in play.wanted.databases}
    taken = {_key(database) for database in play.wanted.databases if database.get("name") in play.take_over}
    return {
        project: replace(
            each, databases=[one for one in each.databases if _key(one) not in (taken if project else own)]
        )
        for project, each in configurations.items()
        if project != play.project
    }


def _place(database: Options) -> str:
    return os.path.normpath(where(database))


def _key(database: Options) -> tuple[str, str]:
    return _place(database), str(database.get("table"))
