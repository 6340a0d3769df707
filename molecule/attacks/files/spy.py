"""An application that looks for what root has left to it, and tries to get more."""

import contextlib
import ctypes
import fcntl
import json
import os
import re
import signal
import termios
from pathlib import Path

from celery import Celery

app = Celery("spy", broker=os.environ.get("BROKER", "redis://127.0.0.1:6380/0"))
PTRACE_ATTACH = 16


def succeeds(attempt):
    with contextlib.suppress(Exception):
        return bool(attempt())
    return False


def becomes_root(function):
    function()
    return 0 in (os.getuid(), os.geteuid())


def types_into_a_terminal():
    terminal = os.open("/dev/tty", os.O_RDWR)
    fcntl.ioctl(terminal, termios.TIOCSTI, b"x")
    return True


def files():
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            yield str(descriptor.readlink())


status = Path("/proc/self/status").read_text()
parent = os.getppid()
is_foreign = not succeeds(lambda: Path(f"/proc/{parent}").stat().st_uid == os.getuid())
found = {
    "users": [int(each) for each in re.search(r"(?m)^Uid:(.*)", status)[1].split()],
    "groups": [int(each) for each in re.search(r"(?m)^Gid:(.*)", status)[1].split()],
    "capabilities": int(re.search(r"(?m)^CapPrm:\s*(\w+)", status)[1], 16),
    "environment": dict(os.environ),
    "files": [file for file in files() if not re.match(r"/proc/\d+/fd$|/srv/shop|/opt/shop", file)],
    "succeeded": {
        "setuid": succeeds(lambda: becomes_root(lambda: os.setuid(0))),
        "seteuid": succeeds(lambda: becomes_root(lambda: os.seteuid(0))),
        "setgroups": succeeds(lambda: os.setgroups([0]) is None),
        "terminal": succeeds(types_into_a_terminal),
        "shadow": succeeds(lambda: Path("/etc/shadow").read_text()),
        "a parent's memory": is_foreign and succeeds(lambda: os.open(f"/proc/{parent}/mem", os.O_RDONLY)),
        "a signal to a parent": is_foreign and succeeds(lambda: os.kill(parent, signal.SIGCONT) is None),
        "a parent's trace": is_foreign and succeeds(lambda: ctypes.CDLL(None).ptrace(PTRACE_ATTACH, parent, 0, 0) == 0),
    },
}
Path("/srv/shop/data/spy.json").write_text(json.dumps(found))
