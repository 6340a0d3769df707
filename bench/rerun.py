#!/usr/bin/env python3
"""Measures a run of site.yml that changes nothing, compared with a playbook of built-in modules for the same purpose.

python bench/rerun.py [--runs 5]      in a checkout, after `make images`; takes about ten minutes

Both playbooks run in turn on one host, a container: their times depend on the machine, the ratio of the medians hardly.
Then site.yml runs on 16 hosts, for the controller's CPU time for each of them, including its connections.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path.append(str(PROJECT / "rig"))
import clean  # noqa: E402 (rig/)

INVENTORY = "bench/rerun/hosts.yml"
ONE, FLEET, HOSTS = "evenkeel-rerun", "fleet", 16
LABEL, IMAGE = "evenkeel=rerun", "evenkeel/server:rerun"
SITE, BY_HAND = "site.yml", "bench/rerun/by_hand.yml"
GOALS = {1: 1.0, 10: 0.3}  # by the number of workers: the highest ratio to the time of the other playbook
CPU_GOAL = 1.0  # seconds for each host


@dataclass(frozen=True)
class Run:
    seconds: float
    cpu: float  # seconds, of the controller


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each playbook (default: 5)")
    options = parser.parse_args()

    clean.remove_containers(LABEL)
    play("rig/server.yml", ONE, rig_label="rerun")
    play("examples/slideshow/playbooks/install.yml", ONE)
    met = [compare(workers, options.runs) for workers in GOALS]
    met.append(measure_fleet(options.runs))
    clean.remove_containers(LABEL)
    sys.exit(not all(met))


def compare(workers: int, runs: int) -> bool:
    """Prints the medians of both playbooks and their ratio. Returns whether it meets the goal."""
    names = [{"name": f"celery-{number + 1}"} for number in range(workers)]
    times: dict[str, list[Run]] = {SITE: [], BY_HAND: []}
    for playbook in times:
        play(playbook, ONE, workers=names)
    for _ in range(runs):
        for playbook, found in times.items():
            found.append(unchanged(playbook, ONE, workers=names))
    site, by_hand = (statistics.median(run.seconds for run in found) for found in times.values())
    ratio, goal = site / by_hand, GOALS[workers]
    show(f"{workers} workers: site.yml {site:.1f} s, by hand {by_hand:.1f} s, ratio {ratio:.2f} (goal: {goal} at most)")
    return ratio <= goal


def measure_fleet(runs: int) -> bool:
    """Prints the controller's CPU time for each host of a fleet. Returns whether it meets the goal."""
    names = [{"name": "celery-1"}]
    play(SITE, ONE, workers=names)
    run("docker", "commit", ONE, IMAGE)
    clean.remove_containers(LABEL)
    play("rig/server.yml", FLEET, rig_label="rerun", rig_image=IMAGE)
    play(SITE, FLEET, workers=names)
    found = [unchanged(SITE, FLEET, workers=names) for _ in range(runs)]
    cpu = statistics.median(each.cpu for each in found) / HOSTS
    show(f"{HOSTS} hosts: site.yml takes {cpu:.2f} s of the controller's CPU for each (goal: {CPU_GOAL} at most)")
    return cpu <= CPU_GOAL


def show(line: str) -> None:
    print(line, flush=True)


def play(playbook: str, hosts: str, **variables: object) -> str:
    command = ("ansible-playbook", "--inventory", INVENTORY, "--limit", hosts, playbook)
    return run(*command, "--extra-vars", json.dumps(variables))


def unchanged(playbook: str, hosts: str, **variables: object) -> Run:
    """A run. Exits if it changes anything."""
    started, before = time.monotonic(), os.times()
    output = play(playbook, hosts, **variables)
    seconds, after = time.monotonic() - started, os.times()
    if re.search(r"changed=[1-9]", output):
        sys.exit(f"{output}\n{playbook} changed something, so its time can't be compared.")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(seconds, cpu)


def run(*command: str) -> str:
    result = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        sys.exit(f"{result.stdout}\nThe benchmark failed: {' '.join(command)} exited with {result.returncode}.")
    return result.stdout


if __name__ == "__main__":
    main()
