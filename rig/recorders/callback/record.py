"""Ansible callback: writes a line of JSON for each playbook that Molecule runs, with its duration and failures.

Writes to the file $SCENARIO_RECORD, if that is set.
"""

import json
import os
import time
from pathlib import Path

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: notification
short_description: A line of JSON for each playbook
description: Appends a line to the file E(SCENARIO_RECORD).
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.disabled = "SCENARIO_RECORD" not in os.environ
        self.begun, self.playbook = time.time(), None
        self.failures, self.changed = [], []

    def v2_playbook_on_start(self, playbook):
        self.playbook = Path(playbook._file_name).stem

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if not ignore_errors:
            self.failures.append({**_where(result), "message": _message(result._result)})

    def v2_runner_on_unreachable(self, result):
        self.v2_runner_on_failed(result)

    def v2_runner_on_ok(self, result):
        if result._result.get("changed"):
            self.changed.append(_where(result))

    def v2_playbook_on_stats(self, stats):
        # A rescued task is not a failure.
        failed = {*stats.failures, *stats.dark}
        record = {
            "playbook": self.playbook,
            "check": bool(context.CLIARGS.get("check")),
            "seconds": time.time() - self.begun,
            "failures": [failure for failure in self.failures if failure["host"] in failed],
            "changed": self.changed,
        }
        with Path(os.environ["SCENARIO_RECORD"]).open("a") as file:
            file.write(json.dumps(record) + "\n")


def _where(result):
    return {"task": result._task.get_name(), "host": result._host.get_name()}


def _message(result):
    """The message and errors of a failed task, or of its failed items."""
    if result.get("results"):
        return "\n".join(_message(item) for item in result["results"] if item.get("failed"))
    parts = [result.get("msg"), result.get("censored"), result.get("stderr") or result.get("module_stderr")]
    return "\n".join(str(words).strip() for words in parts if words)
