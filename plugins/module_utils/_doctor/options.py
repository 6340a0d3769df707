# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the doctor: each is written here, and nowhere else by hand."""

from __future__ import annotations

from .._common.options import Option
from .rules import NAMES

DOCTOR = (
    Option(
        "ignore",
        "list",
        "Rules of docs/doctor.md whose risk is accepted. They are said neither at a deployment nor by the playbook"
        " doctor.",
        (),
        elements="str",
        choices=NAMES,
    ),
)
SUMMARY = (
    Option(
        "format",
        "str",
        "What the terminal shows: V(table), or V(json), or V(none).",
        "table",
        choices=("table", "json", "none"),
    ),
    Option(
        "fail_on",
        "str",
        "When the playbook fails: V(serious), if there is a serious finding, or something could not be examined;"
        " V(warning), if there is a warning, too; V(never).",
        "serious",
        choices=("serious", "warning", "never"),
    ),
)
