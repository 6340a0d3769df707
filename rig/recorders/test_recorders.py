"""The records of Ansible and pytest about a scenario."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_record

pytest_plugins = ["pytester"]
HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "nodeid, name",
    [
        ("test_a.py::test_b", "test_a.py::test_b"),
        ("test_a.py::test_b[ansible://swap-debian12]@swap-debian12", "test_a.py::test_b[ansible://swap-debian12]"),
        ("test_a.py::test_b[celery@host]", "test_a.py::test_b[celery@host]"),
    ],
)
def test_a_test_is_named_without_its_group(nodeid, name):
    assert pytest_record._name(nodeid) == name


def test_the_outcome_and_message_of_each_test_are_recorded(pytester, monkeypatch):
    record = pytester.path / "record.jsonl"
    monkeypatch.setenv("SCENARIO_RECORD", str(record))
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broken():
            raise RuntimeError("no host")

        def test_good(): pass
        def test_bad(): assert '1' == '2', "as promised"
        def test_never_run(broken): pass
        """
    )
    pytester.runpytest_subprocess("--color=yes", "-p", "pytest_record", "-p", "xdist", "-n", "2")
    records = [json.loads(line) for line in record.read_text().splitlines()]
    ended = {line["test"].split("::")[1]: line for line in records if "test" in line}
    assert {name: line["outcome"] for name, line in ended.items()} == {
        "test_good": "passed",
        "test_bad": "failed",
        "test_never_run": "failed",
    }
    assert "as promised" in ended["test_bad"]["message"]
    assert "\x1b" not in ended["test_bad"]["message"]
    assert "no host" in ended["test_never_run"]["message"]
    assert records[-1]["verified"] > 0


@pytest.fixture
def recorded(tmp_path):
    """The record of a playbook with these tasks."""

    def run(tasks):
        playbook, record = tmp_path / "prepare.yml", tmp_path / "record.jsonl"
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        environment = {
            **os.environ,
            "SCENARIO_RECORD": str(record),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
        }
        command = [Path(sys.executable).with_name("ansible-playbook"), playbook]
        subprocess.run(command, env=environment, capture_output=True, check=False)
        (line,) = map(json.loads, record.read_text().splitlines())
        return line

    return run


def test_a_failed_task_is_recorded_with_its_message(recorded):
    fails = {"name": "Install Celery", "command": "sh -c 'echo no such package >&2; exit {{ item }}'", "loop": [0, 4]}
    line = recorded([{"name": "Change something", "command": "true"}, fails])
    assert (line["playbook"], line["check"]) == ("prepare", False)
    assert line["changed"] == [{"task": "Change something", "host": "localhost"}]
    failure = {"task": "Install Celery", "host": "localhost", "message": "non-zero return code\nno such package"}
    assert line["failures"] == [failure]


def test_a_rescued_or_ignored_failure_is_not_recorded(recorded):
    fails = {"fail": {"msg": "on purpose"}}
    line = recorded([{"block": [fails], "rescue": [{"meta": "noop"}]}, {**fails, "ignore_errors": True}])
    assert line["failures"] == []
