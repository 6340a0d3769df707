"""Faults on demand, in each Python of a container. A signal's handler runs in the main thread."""

import signal
import time


def hold_gil(*_):
    import ctypes  # noqa: PLC0415 -- it takes 20 ms

    ctypes.PyDLL(None).sleep(600)  # unlike CDLL, it holds the GIL


def hang(*_):
    time.sleep(600)


signal.signal(signal.SIGRTMIN + 1, hold_gil)
signal.signal(signal.SIGRTMIN + 2, hang)
