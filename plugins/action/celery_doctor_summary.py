# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what the doctor has found on all hosts. Runs on the controller; documented in the module of this name."""

from __future__ import annotations

import json
import shutil

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import argument_spec
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.options import DOCTOR, SUMMARY
from ansible_collections.evenkeel.celery.plugins.plugin_utils._doctor import table
from ansible_collections.evenkeel.celery.plugins.plugin_utils._doctor.summary import Summary, summarize

NARROWEST, WIDEST = 60, 120  # characters


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
                "complete": {"type": "bool", "default": True},
                **argument_spec((*DOCTOR, *SUMMARY)),
            }
        )
        summary = summarize(options["answers"], options["ignore"], options["complete"])
        if options["format"] == "json":
            Display().display(json.dumps(summary.as_data(), indent=1, ensure_ascii=False))
        elif options["format"] == "table":
            _show(summary)
        return {
            "changed": False,
            "failed": summary.fails(options["fail_on"]),
            "msg": summary.sentence,
            **summary.counts,
        }


def _show(summary: Summary) -> None:
    """As it is: a callback would wrap lines and quote them."""
    display = Display()
    width = max(NARROWEST, min(shutil.get_terminal_size().columns, WIDEST))
    for text, colour in table.paragraphs(summary, width):
        head, _line, rest = text.partition("\n")
        display.display(f"\n{head}", color=colour)
        display.display(rest)
    display.display(f"\n{summary.sentence}\n")
