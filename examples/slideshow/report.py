#!/usr/bin/env python3
"""Prints the state of the slideshow's server, as JSON."""

import json
import os
import pwd
import re
import sqlite3
import subprocess
import urllib.request
from pathlib import Path

DATA = Path("/opt/slideshow/data")
UNIT = "celery-worker.service"
WORKER = re.compile(rb"celery\0-A\0celery_app\0worker\0")
STUCK = "status = 'processing' AND julianday(updated_at) < julianday('now', '-30 minutes')"
TABLES = (("jobs", "jobs.db"), ("batches", "batch_processing.db"), ("links", "batch_processing.db"))


def collect():
    unit = properties("ActiveState", "MemoryHigh", "MemoryMax", "WatchdogUSec")
    found = workers()
    api = stats() or dict.fromkeys(("served", "refused", "highest_parallel"), "no answer")
    return {
        "Worker service": unit["ActiveState"],
        "runs as": ", ".join(sorted({worker["user"] for worker in found})) or "-",
        "Worker processes": str(len(found)),
        "of these outside the unit": str(sum(not worker["in_unit"] for worker in found)),
        "their memory (PSS)": f"{sum(worker['pss'] for worker in found) >> 20} MiB",
        "Memory limit (slow down / end)": f"{size(unit['MemoryHigh'])} / {size(unit['MemoryMax'])}",
        "Watchdog": "none" if unit["WatchdogUSec"] in ("0", "infinity") else unit["WatchdogUSec"],
        "Swap": swap(),
        **{f"Stuck {table}": str(count(table, database, STUCK)) for table, database in TABLES},
        "Jobs completed": str(count("jobs", "jobs.db", "status = 'completed'")),
        "Image API: images made": str(api["served"]),
        "Image API: refused (429)": str(api["refused"]),
        "Image API: most calls at once": str(api["highest_parallel"]),
    }


def properties(*names):
    command = ["systemctl", "show", UNIT, "--property", ",".join(names)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines)


def workers():
    """All processes of the unit's cgroup, and the slideshow's workers and their children outside it."""
    group = properties("ControlGroup")["ControlGroup"]
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            in_unit = bool(group) and is_in(group, (entry / "cgroup").read_text())
            if in_unit or WORKER.search((entry / "cmdline").read_bytes()):
                pss = re.search(r"^Pss:\s+(\d+)", (entry / "smaps_rollup").read_text(), re.MULTILINE)
                user = pwd.getpwuid(entry.stat().st_uid).pw_name
                found.append({"user": user, "pss": int(pss[1]) << 10, "in_unit": in_unit})
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended in the meantime
    return found


def is_in(group, cgroups):
    """Whether a /proc/PID/cgroup contains this group, or one below it."""
    paths = [line.split(":", 2)[2] for line in cgroups.splitlines()]
    return any(f"{path}/".startswith(f"{group}/") for path in paths)


def stats():
    """The counts of the image API; None if it does not answer."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:8089/stats", timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return None


def count(table, database, condition):
    connection = sqlite3.connect(f"file:{DATA / database}?mode=ro", uri=True)
    try:
        return connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0]  # noqa: S608
    finally:
        connection.close()


def swap():
    lines = Path("/proc/swaps").read_text().splitlines()[1:]
    mine = [line.split() for line in lines if os.path.exists(line.split()[0])]  # noqa: PTH110 (a container sees other containers' files, too)
    return f"{sum(int(fields[2]) for fields in mine) // 1024} MiB" if mine else "none"


def size(value):
    return "none" if value == "infinity" else f"{int(value) // 2**20} MiB"


if __name__ == "__main__":
    print(json.dumps(collect(), indent=2, ensure_ascii=False))
