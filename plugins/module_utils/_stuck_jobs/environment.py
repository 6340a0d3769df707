# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of an application, from its environment file."""

from __future__ import annotations

import os
from collections.abc import Iterable

from .._common import environment_files, files
from .._common.ownership import is_roots
from .engines.base import Engine
from .options import StuckJobsError

LONGEST = 1_048_576  # bytes of the file


def read_as_root(path: str) -> bytes | None:
    """The text of a file that only root may read. None if the owner of the database has to read it.

    Root reads what root alone can have put there, so that no link of another user's leads to a secret.
    """
    try:
        return files.read_start(path, LONGEST) if path and os.geteuid() == 0 and is_roots(path) else None
    except OSError:
        return None  # the owner meets the same error, and reports it


def files_of(engine: Engine) -> tuple[str, ...]:
    """The environment files of a database: with its login, and of its application."""
    celery = engine.database.celery
    return engine.environment_file, celery.environment_file if celery else ""


def texts(paths: Iterable[str]) -> dict[str, bytes]:
    """The texts of those files that only root may read, by their paths."""
    return {path: text for path in paths if (text := read_as_root(path)) is not None}


def variables(path: str, text: bytes | None) -> dict[str, str]:
    """The variables of a file, whose text root may have read already. Raises StuckJobsError."""
    try:
        read = text if text is not None or not path else files.read_start(path, LONGEST)
        if b"\0" in (read or b""):
            raise ValueError("it has a NUL byte, for which systemd refuses it too")
        return environment_files.variables((read or b"").decode())
    except (OSError, ValueError) as error:
        raise StuckJobsError(
            f"environment_file can't be read: {error}. Let the database's owner read it, or keep it and its directories"
            " root's."
        ) from None
