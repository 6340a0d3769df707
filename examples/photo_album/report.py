#!/usr/bin/env python3
"""Prints the state of the photo album's server, as JSON."""

import json
import subprocess
from pathlib import Path

HOME = Path("/var/www/photo_album")
WORKER, BEAT = "photo-album-celery-worker", "photo-album-celery-beat"


def collect():
    worker, beat = unit(WORKER), unit(BEAT)
    return {
        "Worker service": state(worker),
        "Beat service": state(beat),
        "Worker answers": "yes" if celery("inspect", "ping", "--timeout=5") else "no",
        "Memory limit (slow down / end)": f"{size(worker['MemoryHigh'])} / {size(worker['MemoryMax'])}",
        "Watchdog": "none" if worker["WatchdogUSec"] in ("0", "infinity") else worker["WatchdogUSec"],
        **{
            f"{kind}s {status}": str(number)
            for kind, statuses in statistics().items()
            for status, number in statuses.items()
        },
    }


def unit(name):
    names = "ActiveState,NRestarts,MemoryHigh,MemoryMax,WatchdogUSec"
    lines = output("systemctl", "show", name, "--property", names).splitlines()
    return dict(line.split("=", 1) for line in lines)


def state(found):
    restarts = int(found.get("NRestarts", 0))
    return f"{found['ActiveState']}, {restarts} restarts" if restarts else found["ActiveState"]


def statistics():
    return json.loads(as_the_application("venv/bin/python", "-B", "manage.py", "statistics", "--json").stdout)


def celery(*arguments):
    """Whether a command of Celery's is answered."""
    return not as_the_application("venv/bin/celery", "-A", "photo_album", *arguments).returncode


def as_the_application(program, *arguments):
    command = ["runuser", "-u", "www-data", "--", str(HOME / program), *arguments]
    return subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def size(value):
    return "none" if value == "infinity" else f"{int(value) // 2**20} MiB"


if __name__ == "__main__":
    print(json.dumps(collect(), indent=2, ensure_ascii=False))
