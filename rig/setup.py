"""Creates the virtual environment .venv, and the link that makes this checkout the collection evenkeel.celery."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

VENV = Path(".venv")
LINK = Path(".ansible/collections/ansible_collections/evenkeel/celery")


def main() -> None:
    if sys.version_info < (3, 11):
        sys.exit(f"This is Python {sys.version.split()[0]}. evenkeel.celery is developed with Python 3.11 or later.")
    if importlib.util.find_spec("ensurepip") is None:
        install_venv()
    print(f"Creating {VENV} (a minute or two)", flush=True)
    run(sys.executable, "-m", "venv", "--clear", VENV)
    run(VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt")
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.unlink(missing_ok=True)
    LINK.symlink_to("../" * (len(LINK.parts) - 1))


def install_venv() -> None:
    """On Debian, ensurepip, which venv needs, is in a package of its own."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(
            "This Python has no venv. Install it (on Debian and Ubuntu: apt install python3-venv), and run this again."
        )
    print("Installing python3-venv", flush=True)
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-qq", "--yes", "python3-venv")


def run(*command: object) -> None:
    result = subprocess.run([str(word) for word in command], check=False)
    if result.returncode:
        sys.exit(result.returncode)


if __name__ == "__main__":
    main()
