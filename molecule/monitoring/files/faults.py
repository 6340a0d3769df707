#!/opt/shop/venv/bin/python
"""Breaks each worker in another way, at the same time."""

import socket
import subprocess
import time

from celery import Celery

app = Celery(broker="redis://127.0.0.1:6380/0")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def show(worker):
    """Its state, and the ID of its run."""
    values = run("systemctl", "show", "--property=ActiveState,InvocationID", "--value", worker).split()
    return values[0], values[1:]


def send(worker, times, *arguments, task="sleep"):
    for number in range(times):
        app.send_task(f"shop.{task}", [f"{worker}-{number}-", *arguments], queue=worker)


def kill(worker):
    """Kills it, and waits until it has started again or was given up."""
    _state, before = show(worker)
    run("systemctl", "kill", "--kill-who=main", "--signal=KILL", worker)
    while True:
        state, now = show(worker)
        if state == "failed" or (state == "active" and now != before):
            return state
        time.sleep(0.1)


run("systemctl", "stop", "unserved")
send("unserved", 10)
send("failing", 6, "too", "many", "arguments")
send("chatty", 200)
send("eater", 1, 400, task="eat")
app.control.broadcast("block_loop", destination=[f"hung@{socket.gethostname()}"])
while kill("given-up") != "failed":
    pass
for _ in range(4):
    run("systemctl", "restart", "restarted")
