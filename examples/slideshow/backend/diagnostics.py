"""Tasks for the tests: they use memory or processor time, or take long."""

import os
import time

import store
from celery_app import app


@app.task
def eat_memory(mb, seconds=0):
    """Allocates `mb` MiB and writes to every page."""
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
    """Writes a line to a log when it completes, so that lost and repeated tasks can be counted."""
    time.sleep(seconds)
    with (store.DATA / "touched.log").open("a") as log:
        log.write(f"{name} {os.getpid()} {store.now()}\n")
