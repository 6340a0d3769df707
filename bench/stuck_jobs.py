#!/usr/bin/env python3
"""Measures a clean-up beside one UPDATE, and beside the floor: the same batches and pauses around a bare UPDATE.

  bench/stuck_jobs.py [sqlite|postgresql] [--rows 1000000] [--rounds 5] [--memory-rows N] [--directory DIR]

A table of jobs, every tenth of them stuck; another process writes a row every 2 ms, and a third one reads one. In each
round each of the three cleans up a fresh copy. Prints a table of medians, and each goal: in how many rounds it was met.
With --memory-rows, also compares the peak memory with so many rows.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median

from databases import postgresql, sqlite
from databases.case import FLOOR, OURS, UPDATE, Case

KINDS = {"sqlite": sqlite.cases, "postgresql": postgresql.cases}
SETTLE = 0.3  # seconds


@dataclass(frozen=True)
class Run:
    """What one contender took in one round."""

    seconds: float
    cpu: float  # seconds
    waits: dict[str, float]  # the longest of each other process, in ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", choices=KINDS, help="by default both, one after the other")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="the cases with this in their names, such as 'WAL, index'")
    parser.add_argument("--memory-rows", type=int, default=0)
    parser.add_argument("--directory", type=Path, help="where the databases are created; by default a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evenkeel-bench-", dir=args.directory) as directory:
        # As on a server, no program is compiled again.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(directory, "bytecode"))
        for kind in [args.kind] if args.kind else KINDS:
            print(f"{kind}, {args.rows:,} rows, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n")
            compare(KINDS[kind](Path(directory), args.rows), args.only, args.rounds)
        if args.memory_rows:
            compare_memory(Path(directory), args.rows, args.memory_rows)


def compare(cases: Iterable[Case], only: str, rounds: int) -> None:
    head, verdicts = "", []
    for case in cases:
        if only not in case.name:
            continue
        if not head:
            names = ["", "time", f"beside {UPDATE}", f"beside {FLOOR}", f"CPU beside {UPDATE}"]
            names += [f"longest wait of a {name}" for name in case.others]
            print(head := f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
        runs = measure(case, rounds)
        for name in case.contenders:
            print(f"| {case.name}: {name} | {' | '.join(cells(runs, name))} |", flush=True)
        verdicts += [verdict(case, runs, goal) for goal in case.goals]
    print("", *verdicts, sep="\n")


def measure(case: Case, rounds: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in case.contenders}
    for number in range(rounds):
        names = list(case.contenders)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            runs[name].append(run(case, name))
    return runs


def run(case: Case, name: str) -> Run:
    case.renew(name)
    environment = {**os.environ, **case.environment}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    others = {other: subprocess.Popen(command, env=environment, **pipes) for other, command in case.others.items()}
    for other in others.values():
        other.stdout.readline()
    time.sleep(SETTLE)
    spent, begun = cpu() + case.server_cpu(), time.perf_counter()
    subprocess.run(case.contenders[name], env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    time.sleep(SETTLE)  # who still waits, waits for this contender; and its process on a server ends
    spent = cpu() + case.server_cpu() - spent
    waits = {other: float(process.communicate()[0]) for other, process in others.items()}
    if left := case.stuck():
        raise SystemExit(f"{case.name}: {name} has left {left} jobs stuck")
    return Run(seconds, spent, waits)


def cpu() -> float:
    """Seconds that the processes took that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cells(runs: dict[str, list[Run]], name: str) -> list[str]:
    own = runs[name]
    used = median(one.cpu / base.cpu for one, base in zip(own, runs[UPDATE]))
    ratios = [f"{median(beside(runs, name, base)):.2f}" for base in (UPDATE, FLOOR)]
    waits = [[one.waits[other] for one in own] for other in own[0].waits]
    longest = [f"{median(each):.0f} ms (at most {max(each):.0f})" for each in waits]
    return [f"{median(one.seconds for one in own):.2f} s", *ratios, f"{used:.2f}", *longest]


def beside(runs: dict[str, list[Run]], name: str, base: str) -> list[float]:
    return [one.seconds / other.seconds for one, other in zip(runs[name], runs[base])]


def verdict(case: Case, runs: dict[str, list[Run]], goal: str) -> str:
    """Figures are rounded up: what narrowly misses a goal is not shown as the goal."""
    most = case.goals[goal]
    if goal in case.contenders:
        what, reached = f"time beside {goal}", beside(runs, OURS, goal)
        shown = " ".join(f"{ceil(round(100 * each, 6)) / 100:.2f}" for each in reached)
    else:
        what, reached = f"ms that a {goal} waits", [one.waits[goal] for one in runs[OURS]]
        shown = " ".join(str(ceil(each)) for each in reached)
    met = sum(each <= most for each in reached)
    return f"- {case.name}: {what}: goal {most:g}, met in {met} of {len(reached)} rounds ({shown})"


def compare_memory(directory: Path, few: int, many: int) -> None:
    peaks = []
    for rows in (few, many):
        sqlite.make(directory / "jobs.db", rows, "WAL", "")
        peaks.append(int(subprocess.check_output(sqlite.side("ours", directory / "jobs.db"), text=True)))
        (directory / "jobs.db").unlink()
        print(f"\npeak memory with {rows:,} rows: {peaks[-1] / 1024:.1f} MiB", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
