"""Used by the tests to make the worker ill: no part of the slideshow's work."""

import os
import time

import store
from celery_app import app


@app.task
def eat_memory(mb, seconds=0):
    """Holds `mb` MiB, every page of it touched."""
    hoard = bytearray(b"x") * (mb << 20)
    time.sleep(seconds)
    return len(hoard)


@app.task
def sleep(seconds):
    time.sleep(seconds)


@app.task
def burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@app.task
def touch(name, seconds=0):
    """Leaves one line for each time that it ran to its end, so that lost and repeated tasks can be counted."""
    time.sleep(seconds)
    with (store.DATA / "touched.log").open("a") as log:
        log.write(f"{name} {os.getpid()} {store.now()}\n")
