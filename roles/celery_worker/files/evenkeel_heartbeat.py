# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a service's notifications where there is no systemd, as in a container: a heartbeat file for the probe.

Loaded by evenkeel_watchdog and evenkeel_beat if $EVENKEEL_HEARTBEAT is the file's path and $NOTIFY_SOCKET is not set.

    READY     makes the file
    WATCHDOG  writes the status to it, so that a probe sees by its age whether the service is well
    trigger   a sick service writes where each of its threads is, removes the file and ends with exit code 1

A platform starts again what has ended; Docker and Render leave an unhealthy container alone. If something holds the
GIL, nothing of Python's can run. A thread in C then ends the service, unless it is put off by each notification.
"""

import faulthandler
import os
import sys
from contextlib import suppress
from pathlib import Path

STANDARD_ERROR = 2  # Celery replaces sys.stderr by an object that is no file
# A task can put a link or a pipe in the file's place: no other file is emptied, and nothing waits for a reader.
WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
SHORTEST, LONGEST = 10**6, 10**13  # microseconds: a second, as a mere 30 was meant as seconds, and four months


def heartbeat_file():
    """Where it is, without the file of an earlier run: a volume may outlive its container."""
    path = Path(os.environ["EVENKEEL_HEARTBEAT"])
    try:
        with suppress(FileNotFoundError):
            path.unlink()
        path.touch(exist_ok=False)  # nor through a link that somebody puts there
        path.unlink()
    except OSError as error:
        refuse("EVENKEEL_HEARTBEAT", f"a file that the service can make, such as /tmp/evenkeel.heartbeat ({error})")
    return path


def limit():
    """Seconds after which a hung service is ended; 0: never."""
    value = os.environ.get("WATCHDOG_USEC") or "0"
    if not value.isdecimal() or not (int(value) == 0 or SHORTEST <= int(value) <= LONGEST):
        refuse("WATCHDOG_USEC", f"microseconds from {SHORTEST} (1 s) to {LONGEST}, or to 0 for no watchdog")
    return int(value) / 1e6


def check_seconds(name):
    with suppress(ValueError):
        if 0 <= float(os.environ.get(name) or 0) <= LONGEST / 1e6:
            return
    refuse(name, f"seconds from 0 to {LONGEST // 10**6}")


def refuse(name, accepted):
    sys.exit(f"evenkeel_heartbeat: {name} is {os.environ[name]!r}. Set it to {accepted}.")


FILE, LIMIT = heartbeat_file(), limit()
check_seconds("EVENKEEL_GRACE")
check_seconds("EVENKEEL_HAND_BACK")


class Service:
    ready = stopping = forking = failed = False


def notify(*lines):
    """What is sent to systemd elsewhere: READY=1, WATCHDOG=1, STOPPING=1, STATUS=text; see sd_notify(3)."""
    if "WATCHDOG=trigger" in lines:
        end()
    Service.ready = Service.ready or "READY=1" in lines
    Service.stopping = Service.stopping or "STOPPING=1" in lines
    if Service.ready:
        beat("".join(f"{line[7:]}\n" for line in lines if line.startswith("STATUS=")))
        set_timer()


def beat(status):
    try:
        descriptor = os.open(FILE, WRITE, 0o644)
        try:
            os.write(descriptor, status.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        if not Service.failed:  # once, not for each notification
            Service.failed = True
            os.write(STANDARD_ERROR, f"evenkeel_heartbeat: {str(FILE)!r} can't be written: {error!r}\n".encode())


def end():
    with suppress(OSError):
        FILE.unlink()
    faulthandler.dump_traceback(file=STANDARD_ERROR)
    os._exit(1)


def set_timer():
    """Ends the process, with a traceback, unless it is called again within the limit."""
    if Service.stopping:
        faulthandler.cancel_dump_traceback_later()  # the platform limits how long a shutdown takes
    elif LIMIT and not Service.forking:
        with suppress(RuntimeError):  # the container has as many threads as it may: the next notification tries again
            faulthandler.dump_traceback_later(LIMIT, exit=True, file=STANDARD_ERROR)


# The timer is a thread. A child does not have it, and would for ever wait for its end. So no timer runs during a fork.


def before_fork():
    Service.forking = True
    faulthandler.cancel_dump_traceback_later()


def in_parent():
    Service.forking = False
    if Service.ready:
        set_timer()


def in_child():
    """A child is not the service."""
    os.environ.pop("EVENKEEL_HEARTBEAT", None)


os.register_at_fork(before=before_fork, after_in_parent=in_parent, after_in_child=in_child)
