#!/opt/shop/venv/bin/python
"""Makes each worker ill in its own way, all at the same moment. Prints when, and who was who."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, "/opt/shop")
from shop import app

OUTAGE = 30  # three times WatchdogSec
WORKERS = [
    *("stopped", "blocked", "gil-held", "childless", "idle", "busy-prefork", "busy-threads", "busy-solo"),
    *("draining", "broker-stopped", "broker-frozen"),
]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def send(worker, task="sleep", **arguments):
    app.send_task(f"shop.{task}", [worker], arguments, queue=worker)


def begun(*workers):
    return {f"begun-{worker}" for worker in workers} <= set(Path("/opt/shop/data/done.log").read_text().split())


def command(worker, name):
    app.control.broadcast(name, destination=[f"{worker}@{socket.gethostname()}"])


pids = {worker: int(run("systemctl", "show", "--value", "--property=MainPID", worker)) for worker in WORKERS}

send("busy-prefork", "burn", seconds=OUTAGE)
send("busy-threads", seconds=OUTAGE)
send("busy-solo", seconds=OUTAGE)
send("draining", seconds=OUTAGE)
while not begun("busy-prefork", "busy-threads", "busy-solo", "draining"):
    time.sleep(0.1)

moment = time.time()
run("systemctl", "stop", "--no-block", "draining")
os.kill(pids["stopped"], signal.SIGSTOP)
command("blocked", "block_loop")
command("gil-held", "hold_gil")
killed = run("pgrep", "--parent", str(pids["childless"])).split()
run("kill", "-KILL", *killed)
run("systemctl", "stop", "broker@6381")
run("systemd-run", f"--on-active={OUTAGE}", "systemctl", "start", "broker@6381")
run("systemctl", "kill", "--signal=STOP", "broker@6382")
run("systemd-run", f"--on-active={OUTAGE}", "systemctl", "kill", "--signal=CONT", "broker@6382")

print(json.dumps({"moment": moment, "pids": pids, "killed": killed}))
