# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells systemd's journal: a sentence for people, and the metrics of the run for monitoring."""

from __future__ import annotations

import json
import syslog
from collections.abc import Sequence
from typing import Any

from .._common import journal
from .._common.metrics import STUCK_JOBS_FIELD, STUCK_JOBS_MESSAGE
from .report import Report, samples

IDENTIFIER = "evenkeel-job-cleanup"


def tell_journal(sentence: str, report: Report | None = None) -> None:
    """Writes an entry to the journal, also for a run that somebody has started by hand."""
    fields: dict[str, Any] = {"PRIORITY": syslog.LOG_NOTICE}
    if report:
        fields = {
            "PRIORITY": syslog.LOG_ERR if report.error else syslog.LOG_NOTICE,
            "MESSAGE_ID": STUCK_JOBS_MESSAGE,
            STUCK_JOBS_FIELD: field([report]),
        }
    journal.send(sentence, SYSLOG_IDENTIFIER=IDENTIFIER, SYSLOG_FACILITY=syslog.LOG_CRON >> 3, **fields)


def field(reports: Sequence[Report]) -> str:
    """The metrics as the field has them: by database and metric, each series as its labels and its value."""
    told: dict[str, dict[str, list[Any]]] = {report.database.name: {} for report in reports}
    for metric, series in samples(reports).items():
        for labels, value in series.items():
            told[labels[0]].setdefault(metric, []).append([*labels, value])
    return json.dumps(told, separators=(",", ":"))
