# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns an application's database, and opening it: never creating it, with SQLite's errors explained."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from ...._common import files
from ...._common.ownership import Unsafe, file_of_one_user
from ...._common.users import Identity, owner_identity
from ...options import StuckJobsError
from ..base import NotOwner, Refused
from .connection import Connection, is_locked
from .options import SQLiteDatabase


def owner_of(database: SQLiteDatabase) -> Identity:
    """The owner of the file, to whom also the files must belong that SQLite makes beside it (-wal, -shm, -journal).

    Raises StuckJobsError for any other user but root and the owner, and if root can't be sure who the owner is.
    """
    try:
        file = file_of_one_user(database.path) if os.geteuid() == 0 else Path(database.path).stat()
    except PermissionError:
        raise StuckJobsError(f"{database} can't be accessed. Run this as the database's owner or as root.") from None
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise StuckJobsError(
                f"{database}: there is no such file. Correct `path`, or start the application first."
            ) from None
        raise StuckJobsError(f"{database}: {error}.") from error
    except Unsafe as error:
        raise StuckJobsError(f"{database}: {error}.") from None
    owner = owner_identity(file.st_uid, file.st_gid)
    if os.geteuid() not in (0, owner.uid):
        raise NotOwner(f"{database} belongs to {owner.name}. Run this as {owner.name} or as root.")
    return owner


@contextlib.contextmanager
def connect(database: SQLiteDatabase, write: bool) -> Iterator[Connection]:
    """Opens an existing database and never creates one. Raises Refused or, for other errors, StuckJobsError."""
    with explained(database), contextlib.closing(_open(database, write)) as connection:
        connection.execute(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
        connection.execute("PRAGMA foreign_keys = ON")
        # For all pages of a batch: if they don't fit, SQLite locks out readers too, long before the commit.
        connection.execute("PRAGMA cache_size = -16000")  # KiB
        if write and in_wal_mode(connection):
            # A power failure may lose our last commits, but never damages the file: the next run does them again.
            connection.execute("PRAGMA synchronous = NORMAL")
            # In pages. A checkpoint syncs and is slow. Other writers make checkpoints too, every 1000 pages.
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
        yield connection


@contextlib.contextmanager
def explained(database: SQLiteDatabase) -> Iterator[None]:
    """Explains SQLite's errors to the operator: raises Refused for a constraint, else StuckJobsError."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise Refused(str(error)) from error
    except sqlite3.Error as error:
        if is_locked(error):
            raise StuckJobsError(
                f"{database}: another process held the database for more than {database.busy_timeout:g} s."
                " Run this again, or raise busy_timeout."
            ) from error
        raise StuckJobsError(f"{database}: SQLite reports: {error}.") from error


def _open(database: SQLiteDatabase, write: bool) -> Connection:
    _check_files(database)
    frozen = not write and _is_frozen(database)
    mode = "ro&immutable=1" if frozen else "rw" if write or _is_idle_wal(database) or _is_hot(database) else "ro"
    path = "/" + database.path.lstrip("/")  # after two slashes SQLite expects a host name
    uri = f"file:{quote(path)}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, factory=Connection)
    connection.patience = database.busy_timeout
    return connection


def _check_files(database: SQLiteDatabase) -> None:
    """SQLite would wait for ever at a FIFO."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path = Path(database.path + suffix)
        if path.exists() and not path.is_file():
            raise StuckJobsError(f"{database}: {path} is not a regular file. Remove it, or correct `path`.")


def in_wal_mode(connection: sqlite3.Connection) -> bool:
    return connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def _is_frozen(database: SQLiteDatabase) -> bool:
    """Whether its file system is read-only: SQLite can't make the -shm that reading a WAL database needs."""
    wal = Path(f"{database.path}-wal")
    read_only = os.statvfs(database.path).f_flag & os.ST_RDONLY
    return bool(read_only) and not (wal.exists() and wal.stat().st_size)


def _is_hot(database: SQLiteDatabase) -> bool:
    """Whether a transaction may have crashed: the first reader rolls it back, and has to write for that."""
    return Path(f"{database.path}-journal").exists()


def _is_idle_wal(database: SQLiteDatabase) -> bool:
    """Whether it is a WAL database that no process has open: a read-only connection would leave -wal and -shm there."""
    header = files.read_start(database.path, 20)
    return header[18:] == b"\2\2" and not Path(f"{database.path}-wal").exists()
