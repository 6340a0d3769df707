#!/usr/bin/env python3
"""Prints the state of PeakOps' server, as JSON."""

import json
import sqlite3
import subprocess

DATABASE = "/opt/peakops/data/db.sqlite3"
STUCK = "status = 'PROCESSING' AND julianday(updated_at) < julianday('now', '-30 minutes')"
KILLED = "exited prematurely: signal 9"


def collect():
    worker, beat = properties("peakops-worker"), properties("peakops-beat")
    main = worker["MainPID"]
    return {
        "Worker": worker["ActiveState"],
        "Videos at once": str(len(output("pgrep", "--parent", main).split())) if main != "0" else "-",
        "Memory limit": size(worker["MemoryMax"]),
        "Watchdog of worker / beat": f"{watchdog(worker)} / {watchdog(beat)}",
        "Beat": beat["ActiveState"],
        "Children killed, out of memory": str(output("journalctl", "--unit=peakops-worker").count(KILLED)),
        **{f"Uploads {status}": count(f"status = '{status}'") for status in ("COMPLETED", "FAILED", "PROCESSING")},
        "of these stuck for 30 minutes": count(STUCK),
    }


def properties(unit):
    names = "ActiveState,MainPID,MemoryMax,WatchdogUSec"
    lines = output("systemctl", "show", unit, f"--property={names}").splitlines()
    return dict(line.split("=", 1) for line in lines)


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def watchdog(unit):
    return "none" if unit.get("WatchdogUSec") in (None, "0", "infinity") else unit["WatchdogUSec"]


def count(condition):
    connection = sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True, timeout=30)
    try:
        return str(connection.execute(f"SELECT count(*) FROM uploads_upload WHERE {condition}").fetchone()[0])  # noqa: S608 (constants)
    finally:
        connection.close()


def size(value):
    return "none" if value == "infinity" else f"{int(value) // 2**20} MiB"


if __name__ == "__main__":
    print(json.dumps(collect(), indent=2, ensure_ascii=False))
