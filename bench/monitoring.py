#!/usr/bin/env python3
"""Measures the CPU time of a sample (role monitoring) and of a report (module celery_report), with two journals.

python bench/monitoring.py [ENTRIES]      in a checkout, after `make images`; 360,000 entries of a week by default

Debian's systemd-journal-remote, which is downloaded, writes the journal of a worker that has 13,000 tasks a day.
"""

import json
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
IMAGE = "evenkeel/server:debian13"
INSIDE = "--inside"
ENTRIES = 360_000
DAYS = 7
WORKER = "celery-worker"
ROUNDS = 9
DONE_AFTER = 8  # seconds that a task takes, on average
ENGINE = {"PYTHONPATH": "/checkout/plugins", "PYTHONDONTWRITEBYTECODE": "1"}
SAMPLE = f"""
from module_utils._monitoring import sample
from module_utils._monitoring.config import Config, Service
sample.take(Config((Service("{WORKER}", "worker"),)), "/run/bench")
"""
REPORT = f"""
from module_utils._monitoring.collect import collect
from module_utils._monitoring.config import Service
found = collect([Service("{WORKER}", "worker")], {DAYS}).to_dict()
assert found["journal"]["complete"]
"""


def main(entries):
    with container() as name:
        execute = ["docker", "exec", name]
        subprocess.run(
            [*execute, "sh", "-c", "apt-get update -qq && apt-get install -qq systemd-journal-remote >/dev/null 2>&1"],
            check=True,
        )
        subprocess.run([*execute, "python3", "/checkout/bench/monitoring.py", INSIDE, str(entries)], check=True)


@contextmanager
def container():
    name = f"evenkeel-bench-{os.getpid()}"
    rights = ["--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"]
    volumes = ["--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec", f"--volume={CHECKOUT}:/checkout:ro"]
    subprocess.run(
        ["docker", "run", "--detach", "--rm", f"--name={name}", *rights, *volumes, IMAGE, "/lib/systemd/systemd"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield name
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=True, stdout=subprocess.DEVNULL)


def inside(entries):
    rows = [("", "sample", "report")]
    rows.append(("an empty journal", *measured()))
    write_journal(entries)
    rows.append((f"{entries:,} entries", *measured()))
    for row in rows:
        print(f"{row[0]:20}{row[1]:>20}{row[2]:>20}")
    used = int(subprocess.run(["du", "-sm", "/var/log/journal"], capture_output=True, check=True).stdout.split()[0])
    print(f"CPU time, median and least of {ROUNDS}; the journal has {used} MB")


def measured():
    """Of each program, the median and the least: others on the machine only add to it."""
    rounds = [[cpu(program) for _round in range(ROUNDS)] for program in (SAMPLE, REPORT)]
    return [f"{statistics.median(each):.3f} ({min(each):.3f}) s" for each in rounds]


def cpu(program):
    """The CPU time of a program, with all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        ["/usr/bin/python3", "-c", program], env={**os.environ, **ENGINE}, check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def write_journal(entries):
    machine = Path("/etc/machine-id").read_text().strip()
    target = Path("/var/log/journal", machine, "bench.journal")
    target.parent.mkdir(parents=True, exist_ok=True)
    remote = ["/usr/lib/systemd/systemd-journal-remote", f"--output={target}", "-"]
    with subprocess.Popen(remote, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        for number, (at, fields) in enumerate(sorted(worker_log(entries), key=lambda each: each[0])):
            process.stdin.write(export(number, at, fields, machine))
    if process.returncode:
        raise SystemExit("systemd-journal-remote has failed")


def export(number, at, fields, machine):
    """An entry in systemd's export format."""
    micro = int(at * 1e6)
    own = {
        "__CURSOR": f"s={machine};i={number + 1:x};b={machine};m={number:x};t={micro:x};x={number:x}",
        "__REALTIME_TIMESTAMP": micro,
        "__MONOTONIC_TIMESTAMP": number + 1,
        "_BOOT_ID": machine,
        "_MACHINE_ID": machine,
    }
    return "".join(f"{name}={value}\n" for name, value in {**own, **fields}.items()).encode() + b"\n"


def worker_log(entries):
    """What a worker logs in a week: received, refused now and then, succeeded or failed; and a sample each minute."""
    random.seed(1)
    now = time.time()
    begin = now - DAYS * 86400
    for minute in range(DAYS * 1440):
        sample = {"used": 2**30, "swap": 0, "services": {WORKER: [2**28, 2**29, 1, 0]}}
        yield begin + minute * 60, line("evenkeel-sample", json.dumps(sample))
    tasks = (entries - DAYS * 1440) // 3
    for number in range(tasks):
        at = begin + (number + 0.5) * DAYS * 86400 / tasks
        at = min(at + 20000 * math.sin(at / 86400 * 2 * math.pi), now - 60)
        stamp = (
            f"[{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(at))},{int(at * 1000) % 1000:03}: INFO/ForkPoolWorker-1]"
        )
        task = f"Task tasks.task_{number % 12}[{uuid.UUID(int=random.getrandbits(128))}]"
        yield at, line(WORKER, f"{stamp} {task} received")
        yield at + 1, line(WORKER, f"{stamp} the API answered {429 if number % 4 == 0 else 200}, 14 KB")
        seconds = random.expovariate(1 / DONE_AFTER)
        ended = "raised unexpected: OSError()" if number % 20 == 0 else f"succeeded in {seconds:.3f}s: None"
        yield at + 2, line(WORKER, f"{stamp} {task} {ended}")


def line(service, message):
    return {
        **{"MESSAGE": message, "_SYSTEMD_UNIT": f"{service}.service", "_TRANSPORT": "stdout", "PRIORITY": 6},
        **{"SYSLOG_IDENTIFIER": "celery", "_PID": 4242, "_UID": 997, "_COMM": "celery", "_HOSTNAME": "bench"},
    }


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument != INSIDE]
    (inside if INSIDE in sys.argv else main)(numbers[0] if numbers else ENTRIES)
