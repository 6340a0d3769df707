# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large this machine is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple


class Machine(NamedTuple):
    memory: int  # bytes, a multiple of 1 MiB
    processors: int


def look() -> Machine:
    """This machine, or the container if it has its own /proc/meminfo (LXC)."""
    kib = re.search(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))[1]
    return Machine(int(kib) // 1024 * 2**20, os.cpu_count() or 1)
