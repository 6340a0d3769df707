"""The pytest plugin that records how the scenarios' tests ended."""

import json
from pathlib import Path

import pytest
import pytest_record

pytest_plugins = ["pytester"]


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


def test_how_each_test_ended_and_why_is_recorded(pytester, monkeypatch):
    record = pytester.path / "record.jsonl"
    monkeypatch.setenv("SCENARIO_RECORD", str(record))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broken():
            raise RuntimeError("no host")

        def test_good(): pass
        def test_bad(): assert 1 == 2, "as promised"
        def test_never_run(broken): pass
        """
    )
    pytester.runpytest_subprocess("-p", "pytest_record", "-p", "xdist", "-n", "2")
    records = [json.loads(line) for line in record.read_text().splitlines()]
    ended = {line["test"].split("::")[1]: line for line in records if "test" in line}
    assert {name: line["outcome"] for name, line in ended.items()} == {
        "test_good": "passed",
        "test_bad": "failed",
        "test_never_run": "failed",
    }
    assert "as promised" in ended["test_bad"]["message"]
    assert "no host" in ended["test_never_run"]["message"]
    assert records[-1]["verified"] > 0
