import time
from pathlib import Path

DATA = Path("/opt/shop/data")


def write(name, seconds):
    """Does what the shop's task does."""
    log(f"begun-{name}")
    while seconds is None and not (DATA / f"released-{name}").exists():
        time.sleep(0.1)
    time.sleep(seconds or 0)
    log(name)


def log(line):
    with (DATA / "done.log").open("a") as file:
        file.write(f"{line}\n")
