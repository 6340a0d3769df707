# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clean-ups of stuck jobs have told the journal: the metrics of the last run on each database.

A clean-up runs as root or as its database's owner, and journald says as whom. Each is believed about its own databases
only, which are those of root's configuration.
"""

from __future__ import annotations

import contextlib
import json
import math
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._common import files
from .._common.metrics import STUCK_JOBS, STUCK_JOBS_FIELD, STUCK_JOBS_MESSAGE, Metric, Series
from .._common.paths import CONFIGURATION
from .._common.texts import printable
from .journal import Entry, Question

MOST_SERIES = 100  # of a metric and a database
LONGEST_LABEL = 200  # characters
_MOST = 2**24  # bytes of a configuration

Samples = dict[str, list[list[Any]]]  # by metric: the labels' values and the number of each series
Owners = Mapping[str, set[int]]  # who may speak of a database: user IDs, by the databases' names


def owners() -> dict[str, set[int]]:
    """The databases that are cleaned up on this host, with the users who may tell of them."""
    found: dict[str, set[int]] = {}
    for path in sorted(Path(CONFIGURATION).glob("job_cleanup*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            config = json.loads(files.read_start(path, _MOST))
            users = config.get("owners", {})
            for database in config["databases"]:
                name = str(database["name"])
                found[name] = {0, *_uid(users.get(name))}
    return found


def question(allowed: Owners) -> Question:
    """What to ask of the journal: the entries of those who may tell of a database."""
    users = [f"_UID={user}" for user in sorted(set().union(*allowed.values()))]
    return Question([[f"MESSAGE_ID={STUCK_JOBS_MESSAGE}", *users]] if users else [], (STUCK_JOBS_FIELD, "_UID"))


def _uid(user: Any) -> list[int]:
    try:
        return [pwd.getpwnam(user).pw_uid]
    except (KeyError, TypeError):  # it has none, or is not told
        return []


def told(entry: Entry, allowed: Owners) -> dict[str, Samples]:
    """What an entry tells, by database; nothing that its writer may not tell, or that is wrong."""
    uid = entry.fields.get("_UID", "")
    try:
        data = json.loads(entry.fields.get(STUCK_JOBS_FIELD, ""))
        return {
            name: _samples(name, data[name]) for name in data if uid.isdecimal() and int(uid) in allowed.get(name, ())
        }
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}


def _samples(database: str, samples: Mapping[str, Any]) -> Samples:
    """Raises ValueError or TypeError."""
    return {metric.name: _rows(database, metric, samples.get(metric.name, [])) for metric in STUCK_JOBS}


def _rows(database: str, metric: Metric, rows: Any) -> list[list[Any]]:
    if not isinstance(rows, list) or len(rows) > MOST_SERIES:
        raise ValueError("it is not a list of this length")
    return [_row(database, metric, *row) for row in rows]


def _row(database: str, metric: Metric, *row: Any) -> list[Any]:
    *labels, value = row
    if len(labels) != len(metric.labels) or labels[0] != database or not math.isfinite(value):
        raise ValueError("its labels or its value are wrong")
    return [*(printable(label, LONGEST_LABEL) for label in labels), float(value)]


def series(told: Mapping[str, Samples]) -> dict[str, Series]:
    """The metrics of all databases."""
    found: dict[str, Series] = {}
    for samples in told.values():
        for metric, rows in samples.items():
            found.setdefault(metric, {}).update({tuple(labels): value for *labels, value in rows})
    return found
