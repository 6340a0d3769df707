#!/opt/shop/venv/bin/python
"""Makes workers run out of memory in different ways at the same moment. Prints when, and their runs and process ids."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, "/opt/shop")
from shop import app

TOO_MUCH = 400  # MiB; memory_max is 250M
WORKERS = ["limited", "mapping", "hoarder", "leaky", "counted", "poisoned", "one-process"]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def send(worker, task, name, *arguments, **options):
    app.send_task(f"shop.{task}", [name, *arguments], queue=worker, task_id=name, **options)


def running(prop):
    return {worker: run("systemctl", "show", "--value", f"--property={prop}", worker)[0] for worker in WORKERS}


runs, pids = running("InvocationID"), running("MainPID")
children = run("pgrep", "--parent", pids["limited"])

# Occupies one of the two children until the test releases it, so that the tasks below run in the other one.
send("limited", "sleep", "innocent", None)
while "begun-innocent" not in Path("/opt/shop/data/done.log").read_text().split():
    time.sleep(0.1)

moment = time.time()
app.control.broadcast("hoard", {"megabytes": TOO_MUCH}, destination=[f"hoarder@{socket.gethostname()}"])
send("limited", "eat", "glutton", TOO_MUCH)
send("limited", "eat_late", "late-glutton", TOO_MUCH)
send("mapping", "eat", "mapping-glutton", TOO_MUCH)
send("mapping", "sleep", "mapping-next")
send("poisoned", "eat_bounded", "poison", TOO_MUCH)
send("poisoned", "eat_retried", "retried-poison", TOO_MUCH)
send(
    "one-process", "eat_bounded", "one-process-poison", TOO_MUCH, connection=app.connection("redis://127.0.0.1:6381/0")
)
for number in range(12):
    send("leaky", "leak", f"leak-{number}", 20)
for number in range(6):
    send("counted", "leak", f"count-{number}", 1)

print(json.dumps({"moment": moment, "runs": runs, "pids": pids, "children": children}))
