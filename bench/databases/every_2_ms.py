"""What an application does beside a clean-up."""

from __future__ import annotations

import select
import sys
import time
from typing import Callable


def every_2_ms(act: Callable[[], object]) -> None:
    """Prints a line after the first time, and after standard input ends, the longest time that it took, in ms."""
    act()
    print("ready", flush=True)
    longest = 0.0
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        begun = time.perf_counter()
        act()
        longest = max(longest, time.perf_counter() - begun)
    print(longest * 1000)
