"""Pytest plugin: writes a line of JSON for each test, with its outcome and message, and one for the whole run.

Writes to the file $SCENARIO_RECORD, if that is set.
"""

import json
import os
import re
import time
from pathlib import Path

COLOURS = re.compile("\x1b\\[[0-9;]*m")


def pytest_configure(config):
    # Removed from the environment of processes that pytest starts: pytest-xdist's test runners report to this one, and
    # a failure in a playbook that a test runs is part of that test.
    path = os.environ.pop("SCENARIO_RECORD", None)
    if path:
        config.pluginmanager.register(Recorder(Path(path)))


class Recorder:
    def __init__(self, path):
        self.path, self.begun = path, time.time()

    def write(self, record):
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def pytest_runtest_logreport(self, report):
        # A test that has passed may still fail in its teardown.
        if report.when == "call" or not report.passed:
            self.write({"test": _name(report.nodeid), "outcome": report.outcome, "message": _message(report)})

    def pytest_collectreport(self, report):
        if report.failed:
            self.write({"test": report.nodeid, "outcome": "failed", "message": _message(report)})

    def pytest_sessionfinish(self):
        self.write({"verified": time.time() - self.begun})


def _name(nodeid):
    """The id without the group that pytest-xdist appends."""
    return re.sub(r"@[^@\]]*$", "", nodeid)


def _message(report):
    if not report.failed:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    words = f"{crash.message}\n{Path(crash.path).name}:{crash.lineno}" if crash else str(report.longrepr)
    return COLOURS.sub("", words)
