"""Runs on the server: prints a line of JSON twice a second, until the image API has made IMAGES images.

sample.py START IMAGES SECONDS   (START is the command that starts the workers; stops after SECONDS at the latest)
"""

import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.append("/opt/slideshow")
import report

CGROUPS = Path("/sys/fs/cgroup")
ROOT = ["systemctl", "show", "--property=ControlGroup", "--value", "--", "-.slice"]
PAUSE = 0.5


def main(start_workers, images, seconds):
    root = subprocess.run(ROOT, capture_output=True, text=True, check=True).stdout.strip().strip("/")
    start = time.monotonic()
    while True:
        sample = {
            "time": time.monotonic() - start,
            "pss": pss(workers := report.workers()),
            "pss_of_unit": pss(worker for worker in workers if worker["in_unit"]),
            "oom_kills": oom_kills(root),
            **report.stats(),
        }
        print(json.dumps(sample), flush=True)
        if start_workers:
            subprocess.run(start_workers, shell=True, stdout=subprocess.DEVNULL, check=True)  # noqa: S602
            start_workers = None
        if sample["served"] >= images or sample["time"] > seconds:
            return
        time.sleep(PAUSE)


def pss(workers):
    return sum(worker["pss"] for worker in workers)


def oom_kills(root):
    """How many processes of this server the OOM killer has killed: each cgroup counts its own."""
    counts = {"memory.oom_control": CGROUPS / "memory" / root, "memory.events.local": CGROUPS / root}  # version 1, 2
    lines = [line for name, top in counts.items() for file in top.rglob(name) for line in text(file).splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def text(file):
    try:
        return file.read_text()
    except OSError:  # its unit has ended in the meantime
        return ""


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
