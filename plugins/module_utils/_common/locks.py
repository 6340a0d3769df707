# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock that is released when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from . import files
from .texts import printable

LOOK_EVERY = 0.1  # seconds


class Busy(Exception):
    """Another process holds the lock."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"Another run (process {holder}) is at work on this host. Run this again once it has ended.")
        self.holder = holder  # its process ID


@contextlib.contextmanager
def hold(path: str | Path, timeout: float = 0) -> Iterator[None]:
    """Holds the lock on this file, which is made if missing. Raises Busy if that takes more than `timeout` seconds."""
    end = time.monotonic() + timeout
    files.make_directory(Path(path).parent)
    # Only its owner opens it: who could read it could hold it as well.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "r+", encoding="utf-8", errors="replace") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    lock.seek(0)
                    raise Busy(printable(lock.read(20).strip())) from None
                time.sleep(LOOK_EVERY)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
