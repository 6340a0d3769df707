"""Runs Molecule's scenarios to their end, whatever fails, and reports what failed and why.

scenarios.py                all of them, three at a time
scenarios.py NAME NAME…     these, three at a time
scenarios.py NAME           one, with its output
scenarios.py NAME --soak N  one, N times, while a program keeps a core of the machine busy

Molecule's output goes to .cache/scenarios/NAME.log, where Molecule boxes, wraps and colours it. So results are not read
from there: Ansible and pytest write them to NAME.jsonl (rig/recorders).
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clean
import results

LOGS = Path(".cache/scenarios")
RECORDERS = Path(__file__).parent / "recorders"
AT_A_TIME = 3  # keep two cores busy: a scenario waits for a third of its time, or more
# By how long they take, as the longest are started first.
SLOWEST = (
    *("attacks", "restart", "monitoring", "swap", "default", "deploy", "photo_album", "watchdog", "beat", "sandbox"),
    *("versions", "celery_worker", "postgresql", "cgroup2", "job_cleanup", "imagineer", "peakops", "servers"),
    *("export", "memory", "doctor", "report"),
)
# Scenarios that this machine can't run, and why.
NOT_HERE = (
    {} if platform.machine() == "x86_64" else {"cgroup2": "it needs user-mode Linux, which Debian has for x86_64 only"}
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a scenario: a directory below molecule/")
    parser.add_argument("--soak", metavar="N", type=int, help="run it N times on a busy machine")
    options = parser.parse_args()
    if unknown := set(options.names) - set(scenarios()):
        parser.error(f"There is no scenario {', '.join(sorted(unknown))}. There are: {', '.join(sorted(scenarios()))}.")
    for name in set(options.names) & set(NOT_HERE):
        parser.error(f"{name} can't run on this machine: {NOT_HERE[name]}.")
    if options.soak is not None and (options.soak < 1 or len(options.names) != 1):
        parser.error("--soak needs the name of one scenario, and N of at least 1.")
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        if options.soak:
            ran = soak(*options.names, options.soak)
            print(f"\n{results.soak_report(ran)}")
        else:
            for name, why in () if options.names else NOT_HERE.items():
                print(f"{name}: skipped, as {why}")
            ran = run_all(options.names or [name for name in scenarios() if name not in NOT_HERE])
            print(f"\n{results.report(ran)}")
    finally:
        clean.restore_swappiness()
    sys.exit(any(result.failures for result in ran))


def scenarios() -> list[str]:
    names = sorted(path.parent.name for path in Path("molecule").glob("*/molecule.yml"))
    return sorted(names, key=lambda name: SLOWEST.index(name) if name in SLOWEST else len(SLOWEST))


def run_all(names: list[str]) -> list[results.Result]:
    if len(names) == 1:
        return [run(*names, live=True)]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        ran = list(pool.map(run, names))
    return sorted(ran, key=lambda result: result.scenario)


def soak(scenario: str, rounds: int) -> list[results.Result]:
    with busy_core():
        return [run(scenario, log=f"{scenario}-{number}") for number in range(1, rounds + 1)]


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Keeps one of the machine's cores busy."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
        try:
            yield
        finally:
            process.kill()


def run(scenario: str, live: bool = False, log: str = "") -> results.Result:
    output = LOGS / f"{log or scenario}.log"
    record = output.with_suffix(".jsonl")
    record.unlink(missing_ok=True)
    record.touch()
    print(f"{scenario}: started", flush=True)
    begun = time.monotonic()
    ok = molecule(scenario, output, record, live)
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    result = results.read(scenario, time.monotonic() - begun, output, lines, ok)
    print(results.one_line(result), flush=True)
    return result


def molecule(scenario: str, output: Path, record: Path, live: bool) -> bool:
    # Given, because not every Molecule finds it in a Git worktree. Without it, no host is converged, and that passes.
    shared = ["--base-config", ".config/molecule/config.yml"]
    command = ["molecule", *shared, "test", "--no-command-borders", "--scenario-name", scenario]
    environment = {
        **os.environ,
        "SCENARIO_RECORD": str(record.resolve()),
        "ANSIBLE_CALLBACK_PLUGINS": str(RECORDERS.resolve() / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "record",
        "PYTHONPATH": str(RECORDERS.resolve()),
        "PYTEST_ADDOPTS": "-p pytest_record",
    }
    with output.open("wb") as file:
        if not live:
            return not subprocess.call(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as process:
            for line in process.stdout:
                file.write(line)
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
        return not process.returncode


if __name__ == "__main__":
    main()
