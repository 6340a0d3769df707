"""Supported platforms: the releases that have an image for the tests, and ansible-core from meta/runtime.yml."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import yaml

# debian12 is Debian 12
RELEASES = [
    {**release, **re.fullmatch(r"(?P<name>[a-z]+)(?P<version>[\d.]+)", release["tag"]).groupdict()}
    for release in yaml.safe_load(Path("rig/vars/images.yml").read_text())["rig_releases"]
]
ANSIBLE = yaml.safe_load(Path("meta/runtime.yml").read_text())["requires_ansible"].removeprefix(">=").removesuffix(".0")


def in_role() -> dict[str, str]:
    """The block of a role's meta/main.yml."""
    lines = [f'  min_ansible_version: "{ANSIBLE}"\n', "  platforms:\n"]
    for name, releases in groupby(RELEASES, key=lambda release: release["name"]):
        suites = ", ".join(release["suite"] for release in releases)
        lines.append(f"    - name: {name.capitalize()}\n      versions: [{suites}]\n")
    return {"platforms": "".join(lines)}


def in_readme() -> dict[str, str]:
    """The block of the collection's README."""
    hosts = " or ".join(f"{release['name'].capitalize()} {release['version']}" for release in RELEASES)
    return {"platforms": f"You need ansible-core {ANSIBLE} or later, and ssh to a server with {hosts}.\n"}
