"""The supported versions: every file that repeats them agrees with meta/runtime.yml and pyproject.toml."""

from __future__ import annotations

import re

import pytest
import yaml
from project import PROJECT

tomllib = pytest.importorskip("tomllib", reason="not in the oldest Python, which this test is not about")

TOX = tomllib.loads((PROJECT / "tox.toml").read_text())
RUFF = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["ruff"]
CORES = [core.lstrip("v") for core in TOX["env_base"]["unit"]["factors"][0]["core"]]


def test_the_oldest_supported_ansible_core_is_the_oldest_tested():
    assert yaml.safe_load((PROJECT / "meta" / "runtime.yml").read_text())["requires_ansible"] == f">={CORES[0]}.0"


@pytest.mark.parametrize("meta", sorted(PROJECT.glob("roles/*/meta/main.yml")), ids=lambda path: path.parts[-3])
def test_each_role_requires_the_same_ansible_core_as_the_collection(meta):
    assert yaml.safe_load(meta.read_text())["galaxy_info"]["min_ansible_version"] == CORES[0]


def test_lint_unit_and_sanity_tests_run_on_every_ansible_core_and_a_scenario_on_the_oldest_and_the_newest():
    tested = {name: [core.lstrip("v") for core in env["factors"][0]["core"]] for name, env in TOX["env_base"].items()}
    assert tested == {
        "unit": CORES,
        "sanity": CORES,
        "lint": CORES,
        "live": [CORES[0], CORES[-1]],
    }
    assert sorted(path.stem for path in PROJECT.glob("tests/sanity/*.txt")) == [f"ignore-{core}" for core in CORES]


def test_every_tool_uses_the_same_oldest_python_of_managed_hosts():
    python = re.sub(r"py(\d)(\d+)", r"\1.\2", RUFF["target-version"])
    sanity = yaml.safe_load((PROJECT / "tests" / "config.yml").read_text())
    assert sanity["modules"]["python_requires"] == f">={python}"
    assert TOX["env"]["oldest-python"]["base_python"] == [RUFF["target-version"]]
    assert f"--target={python}-" in (PROJECT / "Makefile").read_text()


def test_the_workflow_tests_every_ansible_core():
    workflow = yaml.safe_load((PROJECT / ".github/workflows/versions.yml").read_text())
    assert workflow["jobs"]["ansible-core"]["strategy"]["matrix"]["core"] == CORES
