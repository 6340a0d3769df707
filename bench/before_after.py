"""Measures the slideshow's server before and after the role runs its worker: memory, refused calls, images, OOM kills.

Starts a server (a container), breaks it, measures it at work, lets the role run the worker, and measures it again.
Both sides have the same application, quota, image API, Redis and work. Takes about a quarter of an hour. Prints a
table, and writes it to README.md and, with a plot, to docs/before_after.md. Run it on an otherwise idle machine.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent
sys.path.append(str(PROJECT / "rig"))
import clean  # noqa: E402 (rig/)
import figures  # noqa: E402
import plot  # noqa: E402

CONTAINER = "evenkeel-bench"
RPM = 20
# The most that the application accepts: with these, a busy worker needs about 300 MB.
IMAGES_PER_JOB = 30
# A usual server, and the smallest on which the role runs this worker: its memory_max, and 512M for the rest.
ROOMY, SMALL = "3800M", "1312M"
FLOOR = f"cd /opt/slideshow/backend && /opt/slideshow/venv/bin/python -B - {IMAGES_PER_JOB}"
START_STALE_WORKERS = PROJECT / "examples/slideshow/playbooks/files/start_stale_workers.sh"
RESULTS = PROJECT / "docs"
README, MARK = PROJECT / "README.md", "<!-- make bench -->"
PAGE = """\
# Before and after

The slideshow's server doing the same work, measured by `make bench`. Before: a unit with five worker processes, and two
stale workers of earlier runs. After: one worker process, run by the role, with the application's 20 threads. Each
figure is the median of {rounds} rounds.

{table}

![Memory over time, calls refused, share of the quota used](before_after.svg)

One process instead of five needs more than a fifth of the memory, because Celery's main process is there either way.
The stale workers make the difference. Where no size is given, the server has {ROOMY}; {SMALL} (one round) is the least
on which the role runs this worker. A worker that the kernel kills loses its slideshow, which stays in `processing`.

## The peak in each round

{peaks}

The peak before depends on chance: it is highest when all seven processes are near the end of a slideshow at the same
time, and refused calls decide which of them gets an image. So the median counts.

## The floor

However the worker is run, its peak cannot be below {floor}, or {floor_share} of before. Of these, {pictures} are the
{IMAGES_PER_JOB} pictures that the application holds until it writes a slideshow, and {interpreter} a single Python
process that has imported Celery and the application; `bench/floor.py` measures both on the same server. The remaining
{rest} are mostly what main process and child do not share, and the child's 20 threads. The watchdog adds nothing that
can be measured. [Memory](memory.md#what-a-worker-keeps) explains what keeps the rest small.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=3, help="number of rounds, of which the median counts (default: 3)"
    )
    parser.add_argument("--quotas", type=int, default=14, help="minutes of work in a round, 9 or more (default: 14)")
    parser.add_argument(
        "--scale", type=float, default=10, help="how many times faster the quota's minutes pass (default: 10)"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a goal is missed")
    options = parser.parse_args()

    clean.remove_containers("evenkeel=bench")
    play("rig/server.yml", "rig_label=bench")
    play("examples/slideshow/playbooks/broken.yml")
    before = measure(options, stale=2)
    play("bench/run_worker.yml")
    after = measure(options)
    floor = json.loads(on_server(FLOOR, (HERE / "floor.py").read_text()))
    clean.remove_containers("evenkeel=bench")

    roomy = {"before": before[ROOMY], "after": after[ROOMY]}
    rounds = {name: [figures.side(samples) for samples in roomy[name]] for name in roomy}
    sides = {name: figures.middle(rounds[name]) for name in rounds}
    rows = figures.rows(sides["before"], sides["after"], [kills(memory, before, after) for memory in before])
    table = figures.markdown(rows)
    plot.draw(roomy, sides, RESULTS / "before_after.svg")
    (RESULTS / "before_after.md").write_text(page(table, rounds, sides, floor))
    before_table, after_table = README.read_text().split(MARK)[::2]
    README.write_text(f"{before_table}{MARK}\n{table}\n{MARK}{after_table}")
    print(f"\n{table}\n\nWritten to docs/before_after.md and .svg, and to README.md")
    sys.exit(options.check and not all(row.met for row in rows))


def measure(options: argparse.Namespace, stale: int = 0) -> dict[str, list]:
    """The samples of each round, by the size of the server's memory."""
    rounds = {ROOMY: options.rounds, SMALL: 1}
    return {memory: [work(memory, options, stale) for _ in range(rounds[memory])] for memory in rounds}


def kills(memory: str, before: dict, after: dict) -> figures.OomKills:
    """The sums of all rounds."""
    return figures.OomKills(memory, *(sum(map(figures.oom_kills, side[memory])) for side in (before, after)))


def page(table: str, rounds: dict, sides: dict, floor: dict) -> str:
    lowest = sum(floor.values())
    peak_before, peak_after = (sides[name].peak_memory for name in ("before", "after"))
    return PAGE.format(
        table=table,
        rounds=len(rounds["before"]),
        peaks=figures.markdown(figures.peaks(rounds["before"], rounds["after"]), "round"),
        floor=figures.mib(lowest),
        floor_share=f"{100 * lowest / peak_before:.1f} %",
        rest=figures.mib(peak_after - lowest),
        **{name: figures.mib(size) for name, size in floor.items()},
        IMAGES_PER_JOB=IMAGES_PER_JOB,
        ROOMY=ROOMY,
        SMALL=SMALL,
    )


def work(memory: str, options: argparse.Namespace, stale: int) -> list[dict]:
    """Starts new workers with more work than these quotas allow. The samples until the API has made those images."""
    images = options.quotas * RPM
    show(f"Work on a server with {memory}: {images} images, {RPM} a minute of {60 / options.scale:g} s")
    on_server("""
        systemctl kill --signal=KILL celery-worker; systemctl stop celery-worker
        pkill -KILL --full '[c]elery -A celery_app worker '
        redis-cli flushdb
    """)
    run("docker", "update", "--memory", memory, "--memory-swap", memory, CONTAINER, capture=True)
    on_server(f"curl --silent --fail --request POST 'http://127.0.0.1:8089/reset?rpm={RPM}&scale={options.scale}'")
    # Half of it goes to the queue `variations`, from which the stale workers take tasks.
    job = json.dumps({"images": IMAGES_PER_JOB, "variations": 1})
    jobs = images // (2 * IMAGES_PER_JOB) + 10
    on_server(f"for i in $(seq {jobs}); do curl --silent --fail --json '{job}' http://127.0.0.1:8080/api/jobs; done")
    on_server("cat > /root/start_stale_workers.sh", START_STALE_WORKERS.read_text())
    # The sampler starts the workers, so that its samples include their first call.
    start = f"systemctl start --no-block celery-worker; sh /root/start_stale_workers.sh {stale}"
    limit = 2 * options.quotas * 60 / options.scale + 30
    seen = on_server(f"python3 -B - '{start}' {images + 1} {limit:g}", (HERE / "sample.py").read_text())
    return [json.loads(line) for line in seen.splitlines()]


def show(what: str) -> None:
    print(f"\n\033[1m▶ {what}\033[0m", flush=True)


def play(playbook: str, *variables: str) -> None:
    extra = [word for variable in variables for word in ("--extra-vars", variable)]
    run("ansible-playbook", "--inventory", "bench/inventory.yml", playbook, *extra)


def on_server(command: str, stdin: str = "") -> str:
    return run("docker", "exec", "--interactive", CONTAINER, "sh", "-c", command, stdin=stdin, capture=True)


def run(*command: str, stdin: str = "", capture: bool = False) -> str:
    output = subprocess.PIPE if capture else None
    result = subprocess.run(command, input=stdin, stdout=output, text=True, check=False)
    if result.returncode:
        sys.exit(f"\nThe benchmark failed: {' '.join(command)} exited with {result.returncode}.")
    return result.stdout


if __name__ == "__main__":
    main()
