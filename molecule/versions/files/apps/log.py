import time
from pathlib import Path


def write(name, seconds):
    """As the shop's task does."""
    for line, pause in ((f"begun-{name}", seconds), (name, 0)):
        with Path("/opt/shop/data/done.log").open("a") as log:
            log.write(f"{line}\n")
        time.sleep(pause)
