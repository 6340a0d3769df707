# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program with a bound on its time and on its output, whatever it does."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time
from dataclasses import dataclass
from typing import Any

MOST = 2**20  # bytes of standard output and standard error together


@dataclass(frozen=True)
class Result:
    """What a program wrote, and how it ended."""

    output: str
    error: str
    status: int
    exceeded: str = ""  # the bound for which it was killed: time or output


def run(command: list[str], seconds: float, most: int = MOST, **options: Any) -> Result:
    """Runs a program, which is killed when it exceeds a bound. `options`: further ones of subprocess.Popen.

    Bytes that are not UTF-8 are replaced. What the program leaves running is not waited for.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    ) as process:
        written = {process.stdout: bytearray(), process.stderr: bytearray()}
        exceeded = "time"
        try:
            exceeded = _read(written, most, time.monotonic() + seconds)
        finally:
            if exceeded:
                process.kill()
        if not exceeded:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)  # it has closed its output, but may still run
            if process.poll() is None:
                exceeded = "time"
                process.kill()
    output, error = (text.decode(errors="replace") for text in written.values())
    return Result(output, error, process.returncode, exceeded)


def _read(written: dict[Any, bytearray], most: int, deadline: float) -> str:
    """Reads from all streams until their ends; returns the bound that was exceeded before, or an empty text."""
    with selectors.DefaultSelector() as selector:
        for stream in written:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return "time"
            for key, _events in selector.select(left):
                piece = os.read(key.fd, 65536)
                if not piece:
                    selector.unregister(key.fileobj)
                written[key.fileobj] += piece
                if sum(map(len, written.values())) > most:
                    return "output"
    return ""
