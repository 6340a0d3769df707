#!/opt/shop/venv/bin/python
"""Causes a different fault in each worker, all at the same moment. Prints when, and their runs and process ids."""

import json
import os
import signal
import socket
import subprocess
import time
from functools import cache
from pathlib import Path

from celery import Celery
from redis import Redis

OUTAGE = 30  # three times WatchdogSec
LOG = Path("/opt/shop/data/done.log")
WORKERS = [environment.stem for environment in Path("/etc/evenkeel").glob("*.env")]
BROKERS = {"broker-stopped": 6381, "broker-frozen": 6382, "broker-restarted": 6383}
CUT_OFF = ["dropped", "refused", "half-open", "half-open-poll", "unconnected", "queueless", "unpolled"]
SECOND_BROKER = 6384  # of the two workers with two brokers


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@cache
def app(port):
    return Celery(broker=f"redis://127.0.0.1:{port}/0")


def send(worker, name=None, task="sleep", port=6380, **options):
    app(port).send_task(f"shop.{task}", [name or worker], queue=worker, **options)


def command(worker, name, port=6380, **arguments):
    """Does not wait for an answer, as some commands block the worker."""
    app(port).control.broadcast(name, arguments, destination=[f"{worker}@{socket.gethostname()}"])


def obeyed(worker, name, **arguments):
    """Sends a command and waits until the worker has executed it."""
    node = f"{worker}@{socket.gethostname()}"
    assert app(6380).control.broadcast(name, arguments, destination=[node], reply=True, timeout=60), (worker, name)


def wait_for_earlier_polls():
    """Waits until each BRPOP that was open has ended: Redis would give it a task that no worker reads any more."""
    since = time.monotonic()
    while True:
        idle = [int(client["idle"]) for client in Redis(port=6380).client_list() if "b" in client["flags"]]
        if max(idle, default=0) + 1 < time.monotonic() - since:  # idle is in whole seconds
            return
        time.sleep(0.1)


def wait_for(*lines):
    while not set(lines) <= set(LOG.read_text().split()):
        time.sleep(0.1)


def each(prop):
    return {worker: run("systemctl", "show", "--value", f"--property={prop}", worker) for worker in WORKERS}


runs, pids = each("InvocationID"), {worker: int(pid) for worker, pid in each("MainPID").items()}

run("systemctl", "stop", "proxy@7006", "proxy@7007")
for worker in ("failed-over", "failed-over-blocked"):
    send(worker, f"second-broker-{worker}", port=SECOND_BROKER)
busy = ["busy-prefork", "busy-threads", "busy-solo", "draining"]
for worker in busy:
    send(worker, task="burn" if worker == "busy-prefork" else "sleep", kwargs={"seconds": OUTAGE})
wait_for("second-broker-failed-over", "second-broker-failed-over-blocked", *(f"begun-{worker}" for worker in busy))

moment = time.time()
run("systemctl", "stop", "--no-block", "draining")
os.kill(pids["stopped"], signal.SIGSTOP)
while "State:\tT" not in Path(f"/proc/{pids['stopped']}/status").read_text():
    time.sleep(0.01)
for number in range(4):  # its last BRPOP may stay open for another second, and receive one of these
    send("stopped", f"handed-{number}")
command("blocked", "block_loop")
command("unabortable", "block_loop_and_abort")
command("gil-held", "hold_gil")
command("failed-over-blocked", "block_loop", port=SECOND_BROKER)
killed = run("pgrep", "--parent", str(pids["childless"])).split()
run("kill", "-KILL", *killed)

run("systemctl", "stop", "broker@6381")
run("systemctl", "kill", "--signal=STOP", "broker@6382")
run("systemctl", "restart", "proxy@7001")
run("systemctl", "stop", "proxy@7002")
run("systemctl", "kill", "--signal=USR1", "proxy@7003")
run("systemctl", "kill", "--signal=USR2", "proxy@7004")
obeyed("unconnected", "hang_in_reconnect")
obeyed("queueless", "forget_queues")
obeyed("unpolled", "stop_polling")
obeyed("cancelled", "cancel_consumer", queue="cancelled")
obeyed("paused", "pause")
send("sender", "sender-59", task="pass_on", kwargs={"queue": "unserved"})
wait_for("begun-sender-59")
obeyed("rate-limited", "rate_limit", task_name="shop.sleep", rate_limit="1/m")
wait_for_earlier_polls()
run("systemctl", "restart", "proxy@7005")
run("systemctl", "start", "proxy@7006")

for number in range(3):
    send("failed-over", f"at-the-first-broker-{number}")
for number in range(60):
    for worker in ("cancelled", "paused", "rate-limited", "eta"):
        send(worker, f"{worker}-{number}", countdown=3600 if worker == "eta" else None)
for name in ("first", "second"):  # Celery 5.3 may take one more task before it takes none
    for worker in CUT_OFF:
        send(worker, f"{name}-{worker}")
    time.sleep(3)
waiting = time.time()

for number in range(20):  # at various moments while the worker reconnects
    run("systemctl", "restart", "broker@6383")
    time.sleep(number % 3)
time.sleep(max(0, moment + OUTAGE - time.time()))
run("systemctl", "start", "broker@6381", "proxy@7002")
run("systemctl", "kill", "--signal=CONT", "broker@6382")
over, now = time.time(), each("InvocationID")
outlived = [worker for worker in WORKERS if now[worker] == runs[worker]]
for name in ("first", "second"):
    for worker, port in BROKERS.items():
        send(worker, f"{name}-{worker}", port=port)
    time.sleep(3)

times = {"moment": moment, "waiting": waiting, "over": over}
print(json.dumps({**times, "outlived": outlived, "runs": runs, "pids": pids, "killed": killed}))
