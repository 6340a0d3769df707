"""A task that does what a test says, so that the test sees what any task could do."""

import subprocess
from pathlib import Path

from celery import shared_task


@shared_task
def sh(name, command):
    """Leaves the exit code and all that was said in the data directory."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=300, check=False)
    said = Path("/opt/slideshow/data", name)
    unfinished = said.with_name(f"{name}.unfinished")
    unfinished.write_text(f"{done.returncode} {done.stdout} {done.stderr}")
    unfinished.rename(said)
