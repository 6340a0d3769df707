"""An application of the compromised user's: notes as whom it runs, and what of root is in its reach."""

import json
import os
from pathlib import Path


def attempt(function, *arguments):
    try:
        return repr(function(*arguments))
    except OSError as error:
        return type(error).__name__


told = {
    "ids": [*os.getresuid(), *os.getresgid(), *os.getgroups()],
    "terminal": attempt(os.open, "/dev/tty", os.O_RDWR),
    "root": attempt(os.setresuid, 0, 0, 0),
    "memory of the parent": attempt(os.open, f"/proc/{os.getppid()}/mem", os.O_RDONLY),
    "environment": sorted(os.environ),
    "descriptors": [attempt(path.readlink) for path in Path("/proc/self/fd").iterdir()],
}
Path(f"/tmp/ran-as-{os.getuid()}-{os.getpid()}.json").write_text(json.dumps(told))
raise SystemExit
