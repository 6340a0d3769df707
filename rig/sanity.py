"""Runs ansible-test sanity on a copy of the tracked and new files.

ansible-test accepts a collection only below ansible_collections/NAMESPACE/NAME, and no links to it.
"""

import shutil
import subprocess
import sys
from pathlib import Path

COPY = Path(".cache/sanity/ansible_collections/evenkeel/celery")
PARTS = [".gitignore", "galaxy.yml", "README.md", "meta", "plugins", "roles", "playbooks", "changelogs", "tests"]
# Each ansible-test wants to download another version of pip's installer; Python's own does as well.
INSTALLERS = Path.home() / ".ansible" / "test" / "cache"
PIPS = ["23_1_2", "24_2", "25_2"]  # of ansible-core 2.17, of 2.18 and 2.19, of 2.20


def main() -> int:
    INSTALLERS.mkdir(parents=True, exist_ok=True)
    for pip in PIPS:
        installer = INSTALLERS / f"get_pip_{pip}.py"
        if not installer.exists():
            installer.write_text("import ensurepip\nensurepip.bootstrap()\n")
    shutil.rmtree(COPY, ignore_errors=True)
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS]
    for name in subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and Path(name).exists():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, COPY / name)
    subprocess.run(["git", "init", "--quiet"], cwd=COPY, check=True)
    subprocess.run(["git", "add", "--all"], cwd=COPY, check=True)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = ["ansible-test", "sanity", "--color", "no", "--requirements", "--python", python, *sys.argv[1:]]
    return subprocess.run(command, cwd=COPY, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
