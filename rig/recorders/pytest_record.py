"""Pytest plugin: a line of JSON for each test, on how it ended and why it failed, and one for the whole run.

Writes to the file that $SCENARIO_RECORD names; without one, to none.
"""

import json
import os
import re
import time
from pathlib import Path

COLOURS = re.compile("\x1b\\[[0-9;]*m")


def pytest_configure(config):
    # Taken away from the processes that pytest starts: test runners of pytest-xdist report to this one, and what
    # fails in a playbook that a test runs is that test's business.
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
        # A test that has passed may still fail when its fixtures are torn down.
        if report.when == "call" or not report.passed:
            self.write({"test": _name(report.nodeid), "outcome": report.outcome, "message": _message(report)})

    def pytest_collectreport(self, report):
        if report.failed:
            self.write({"test": report.nodeid, "outcome": "failed", "message": _message(report)})

    def pytest_sessionfinish(self):
        self.write({"verified": time.time() - self.begun})


def _name(nodeid):
    """As pytest knows the test; pytest-xdist appends the group."""
    return re.sub(r"@[^@\]]*$", "", nodeid)


def _message(report):
    if not report.failed:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    words = f"{crash.message}\n{Path(crash.path).name}:{crash.lineno}" if crash else str(report.longrepr)
    return COLOURS.sub("", words)
