"""A task that runs a command, so that a test can try what a task is able to do."""

import subprocess
from pathlib import Path

from celery import shared_task


@shared_task(time_limit=1500)
def sh(name, command):
    """Writes the exit code and the output to a file in the data directory."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=300, check=False)
    output = Path("/opt/slideshow/data", name)
    unfinished = output.with_name(f"{name}.unfinished")
    unfinished.write_text(f"{done.returncode} {done.stdout} {done.stderr}")
    unfinished.rename(output)
