"""The Git hooks run what make check runs."""

import re
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[1]


def test_the_hooks_are_the_parts_of_make_check():
    (parts,) = re.findall(r"(?m)^check: .*\n\t.*--output-sync=target (.*)", (PROJECT / "Makefile").read_text())
    (local,) = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == [f"make {part}" for part in parts.split()]
