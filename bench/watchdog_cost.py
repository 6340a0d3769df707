#!/usr/bin/env python3
"""Measures what the watchdog costs: workers with and without it at the same time, each side with its own broker.

python bench/watchdog_cost.py [SECONDS]      in a checkout, after `make images`; two minutes for each row by default
"""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
CELERY = "celery[redis]==5.7.0"
IMAGE = "evenkeel/server:debian13"
INSIDE = "--inside"
WORKERS = 4  # on each side
WATCHDOG = 30  # seconds: WatchdogSec= as it is by default
RATES = {"idle": 0, "5 tasks a second": 5}  # for each worker


def start_container(seconds):
    install = f"python3 -m venv /venv && /venv/bin/pip install --quiet '{CELERY}'"
    measure = f"/venv/bin/python /checkout/bench/watchdog_cost.py {INSIDE} {seconds}"
    command = [
        "docker",
        "run",
        "--rm",
        "--volume",
        f"{CHECKOUT}:/checkout:ro",
        IMAGE,
        "sh",
        "-c",
        f"{install} && {measure}",
    ]
    return subprocess.run(command, check=False).returncode


@contextmanager
def running(*command, **variables):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env={**os.environ, **variables}, **quiet)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


class Side:
    """A broker and its workers."""

    def __init__(self, stack, port, **variables):
        from celery import Celery  # noqa: PLC0415 (not outside the container)
        from redis import Redis  # noqa: PLC0415

        stack.enter_context(running("redis-server", "--port", str(port), "--save", ""))
        self.app = Celery(broker=f"redis://127.0.0.1:{port}/0")
        self.redis, self.port, self.stack, self.variables = Redis(port=port), port, stack, variables
        self.workers = []

    def start(self):
        command = ["/venv/bin/celery", f"--broker={self.app.conf.broker_url}", "worker", "--concurrency=1"]
        if self.variables:
            command.append("--include=evenkeel_watchdog")
        for number in range(WORKERS):
            options = [f"--hostname={number}@{self.port}", f"--queues={number}"]
            self.workers.append(self.stack.enter_context(running(*command, *options, **self.variables)))

    def ready(self):
        return len(self.app.control.ping(timeout=2)) == WORKERS

    def work(self, rate):
        for number in range(WORKERS * rate):
            self.app.send_task("celery.accumulate", queue=str(number % WORKERS))

    def cpu(self):
        """CPU seconds of all threads of the main processes."""
        clocks = [clock for pid in self.workers for clock in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        return sum(int(clock.read_text().split()[0]) for clock in clocks) / 1e9

    def commands(self):
        return sum(each["calls"] for each in self.redis.info("commandstats").values())


def listen(systemd):
    """Read the messages: if the socket were full, sending would cost less."""
    while True:
        systemd.recv(4096)


def measure(sides, rate, seconds):
    """[(percentage of a core, broker commands a minute)] of one worker on each side."""
    before = [(side.cpu(), side.commands()) for side in sides]
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        for side in sides:
            side.work(rate)
        time.sleep(1 - (time.monotonic() - start) % 1)
    after = [(side.cpu(), side.commands()) for side in sides]
    return [
        (100 * (cpu - cpu_before) / passed / WORKERS, 60 * (commands - commands_before) / passed / WORKERS)
        for (cpu, commands), (cpu_before, commands_before) in zip(after, before)
    ]


def compare(seconds):
    with ExitStack() as stack:
        systemd = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        systemd.bind("\0systemd")
        threading.Thread(target=listen, args=[systemd], daemon=True).start()
        variables = {
            "NOTIFY_SOCKET": "@systemd",
            "WATCHDOG_USEC": str(WATCHDOG * 1_000_000),
            "PYTHONPATH": str(CHECKOUT / "roles/celery_worker/files"),
        }
        sides = [Side(stack, 6401), Side(stack, 6402, **variables)]
        time.sleep(1)
        for side in sides:
            side.start()
        while not all(side.ready() for side in sides):
            time.sleep(1)
        print(f"{CELERY}, WatchdogSec={WATCHDOG}, {WORKERS} workers on each side, {seconds} s for each row:")
        print(f"{'':18}{'main process, % of a core':>36}{'broker commands a minute':>36}")
        print(f"{'':18}" + 2 * f"{'without':>12}{'with':>8}{'more':>8}{'ratio':>8}")
        for name, rate in RATES.items():
            cpu, commands = zip(*measure(sides, rate, seconds))
            print(f"{name:18}{cells(cpu, '.3f')}{cells(commands, '.0f')}", flush=True)


def cells(sides, form):
    without, having = sides
    return f"{without:12{form}}{having:8{form}}{having - without:8{form}}{having / without:8.2f}"


if __name__ == "__main__":
    asked = [int(word) for word in sys.argv[1:] if word != INSIDE]
    sys.exit((compare if INSIDE in sys.argv else start_container)(*asked or [120]))
