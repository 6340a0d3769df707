#!/usr/bin/env python3
"""Prints the state of Imagineer, seen from the server with Redis, as JSON."""

import json
import re
import subprocess
from pathlib import Path

QUEUES = ("default", "training", "scraping", "labeling")
ENVIRONMENT = "set -a; . /etc/imagineer/api.env; cd /opt/imagineer;"
CELERY = f"{ENVIRONMENT} venv/bin/celery -A server.celery_app.celery"
# redis-cli has no address without a user's name. redis://:PASSWORD@…
REDIS = f"{ENVIRONMENT} after=${{CELERY_BROKER_URL#*://:}} REDISCLI_AUTH=${{after%%@*}} redis-cli"


def collect():
    units = [f"imagineer-{queue}" for queue in QUEUES if queue != "training"]
    nodes = json.loads(output(f"{CELERY} inspect ping --json --timeout=5") or "{}")
    runs = output(f"{REDIS} --scan --pattern 'imagineer:run:*'").split()
    statuses = [output(f"{REDIS} hget {run} status") for run in runs]
    return {
        "Workers that answer by name": str(len(nodes)),
        "Services run as": ", ".join(sorted({show(unit, "User") or "root" for unit in units})),
        "Their memory limits": ", ".join(size(show(unit, "MemoryMax")) for unit in units),
        "Beat": beat(),
        "Password of Redis": "shown by systemctl" if re.search(r"redis://:\w", show_all(units)) else "hidden",
        "Messages waiting": ", ".join(f"{queue} {output(f'{REDIS} llen {queue}')}" for queue in QUEUES),
        "Images labeled": str(sum(has_label(path) for path in Path("/var/lib/imagineer/datasets").glob("*/*.txt"))),
        "Trainings completed": str(statuses.count("completed")),
    }


def beat():
    if show("imagineer-beat", "ActiveState") == "active":
        return "a service, with a watchdog"
    return "in the default worker" if output("pgrep --full -- '[-]-beat'") else "none"


def has_label(path):
    return path.read_text().rpartition(" ")[2] in ("red", "green", "blue", "white", "black")


def show(unit, name):
    return output(f"systemctl show --value --property={name} {unit}")


def show_all(units):
    return output(f"systemctl show {' '.join(units)}")


def output(command):
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False).stdout.strip()


def size(value):
    return "none" if value == "infinity" else f"{int(value) // 2**20} MiB"


if __name__ == "__main__":
    print(json.dumps(collect(), indent=2, ensure_ascii=False))
