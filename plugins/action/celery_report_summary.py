# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one report of the answers of all hosts. Runs on the controller; documented in the module of this name."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.evenkeel.celery.plugins.module_utils._common import files
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import argument_spec
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.summary_options import SUMMARY
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report import summary as summaries
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report import table, verify
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.answer import answers_of
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.page import page
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.wanted import Wanted, wanted

ENDINGS = (".html", ".json", ".txt")
COLOURS = {summaries.FINE: "green", summaries.WRONG: "red", summaries.CANT_KNOW: "yellow"}
FAILS = {
    "wrong": {summaries.WRONG},
    "unknown": {summaries.WRONG, summaries.CANT_KNOW},
    "never": set(),
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(
            {
                "answers": {"type": "dict", "required": True},
                "pings": {"type": "dict"},
                "ping_task": {"type": "str", "default": ""},
                "without_swap": {"type": "list", "elements": "str", "default": []},
                **argument_spec(SUMMARY),
            }
        )
        paths = [Path(path).absolute() for path in options["file"]]
        try:
            _check(paths)
            goals = wanted(options["days"], options["goals"], options["without_swap"])
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from None
        answers, silent = answers_of(options["answers"])
        if options["pings"] is not None:
            pings = verify.pings_of(options["pings"])
            return _verified(verify.verify(answers, silent, pings, goals, options["ping_task"]))
        summary = summaries.summarize(answers, silent, goals, time.time())
        texts = _texts(summary, options, goals)
        if not self._task.check_mode:
            for path in paths:
                files.write(path, files.File(texts[path.suffix].encode(), 0o600))
        if options["format"] == "json":
            Display().display(texts[".json"])
        elif options["format"] == "table":
            _show(summary.verdict, summary.sentence, table.report(summary))
        return {
            "changed": False,
            "failed": summary.verdict in FAILS[options["fail_on"]],
            "msg": " ".join([summary.sentence, *(f"See {path}." for path in paths[:1] if not self._task.check_mode)]),
            "verdict": summary.verdict,
            "exit_code": summary.exit_code,
            "files": [str(path) for path in paths],
        }


def _check(paths: list[Path]) -> None:
    for path in paths:
        if path.suffix not in ENDINGS:
            raise ValueError(f"file: {path} ends in none of {', '.join(ENDINGS)}. Name it report.html, for example.")
        if not path.parent.is_dir():
            raise ValueError(f"file: the directory {path.parent} does not exist on the controller. Create it.")


def _texts(summary: summaries.Summary, options: dict, goals: Wanted) -> dict[str, str]:
    """The report in each of its forms, by the ending of a file."""
    return {
        ".html": page(summary, options["runbook"], goals.memory),
        ".json": json.dumps(summary.as_data(), indent=1, ensure_ascii=False) + "\n",
        ".txt": "\n\n".join([summary.sentence, *table.report(summary)]) + "\n",
    }


def _verified(checks: list[verify.Check]) -> dict:
    verdict, sentence = verify.judged(checks)
    _show(verdict, sentence, [table.table(verify.rows(checks))])
    failed = verdict == summaries.WRONG
    return {
        "changed": False,
        "failed": failed,
        "msg": sentence,
        "verdict": verdict,
        "exit_code": summaries.EXIT_CODES[verdict],
    }


def _show(verdict: str, sentence: str, parts: Iterable[str]) -> None:
    """As it is: a callback would wrap tables and quote them."""
    display = Display()
    display.display(f"\n{sentence}", color=COLOURS[verdict])
    display.display("".join(f"\n{part}\n" for part in parts))
