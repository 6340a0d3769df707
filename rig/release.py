"""Makes a release: galaxy.yml's version, the changelog, the tarball, a commit and a tag. Pushes nothing.

release.py VERSION

galaxy.yml holds the version of the last release; what came since then lies in changelogs/fragments.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

GALAXY = Path("galaxy.yml")


def main(version: str) -> None:
    if refusal := why_not(version):
        sys.exit(f"No release: {refusal}")
    try:
        GALAXY.write_text(re.sub(r"(?m)^version: .*$", f"version: {version}", GALAXY.read_text()))
        run("antsibull-changelog", "release")
        run("git", "add", "--all")
        build()
        run("git", "commit", "--quiet", "--message", f"release: {version}")
    except subprocess.CalledProcessError as error:
        # The tree was clean, so every change in it was made here.
        run("git", "reset", "--quiet", "--hard")
        sys.exit(f"No release: {error.cmd[0]} failed. Nothing was changed.")
    run("git", "tag", "--annotate", version, "--message", f"evenkeel.celery {version}")
    print(f"Committed and tagged {version}. To publish it: git push --follow-tags, and upload the tarball.")


def why_not(version: str) -> str:
    """The reason to refuse a release, or an empty text."""
    last = yaml.safe_load(GALAXY.read_text())["version"]
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        return f"{version!r} is not a version such as 1.2.3. Run: make release VERSION=x.y.z"
    if parts(version) <= parts(last):
        return f"{version} is not greater than {last}, the last release."
    if output("git", "tag", "--list", version):
        return f"the tag {version} exists already. Choose another version."
    if changes := output("git", "status", "--porcelain"):
        return f"the working tree has changes. Commit or remove them first:\n{changes}"
    if not [*Path("changelogs/fragments").glob("*.y*ml")]:
        return "changelogs/fragments is empty: there is nothing to release."
    return ""


def parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def build() -> None:
    """Builds the tarball of what is about to be committed, without whatever else lies in the checkout."""
    with tempfile.TemporaryDirectory() as copy:
        run("git", "checkout-index", "--all", f"--prefix={copy}/")
        run("ansible-galaxy", "collection", "build", "--force", "--output-path", ".", copy)


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip()


if __name__ == "__main__":
    main("".join(sys.argv[1:]))
