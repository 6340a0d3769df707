import time
from pathlib import Path

DATA = Path("/opt/shop/data")


def write(name, seconds):
    """As the shop's task does."""
    say(f"begun-{name}")
    while seconds is None and not (DATA / f"released-{name}").exists():
        time.sleep(0.1)
    time.sleep(seconds or 0)
    say(name)


def say(line):
    with (DATA / "done.log").open("a") as log:
        log.write(f"{line}\n")
