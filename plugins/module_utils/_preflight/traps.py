# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor's rules, applied to what the probe has found about a host's services."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from .._celery.options import Instance, node_name
from .._common import machine, systemd
from .._doctor.findings import Finding, Service, of_services
from .._doctor.rules import RULES
from .answer import Answer

_TIMES = ("CPUUsageNSec", "ActiveEnterTimestampMonotonic")


def services(instances: Collection[Instance], answers: Mapping[str, Answer]) -> list[Service]:
    """Those that told facts, with what the host knows of them."""
    told = [instance for instance in instances if "facts" in answers.get(instance["name"], {})]
    times = systemd.show([instance["name"] for instance in told], _TIMES) if told else {}
    processors = machine.look().processors if told else 0
    return [
        Service(
            instance, {**answer["facts"], "service": _of_host(instance, answer, times[instance["name"]], processors)}
        )
        for instance in told
        for answer in [answers[instance["name"]]]
    ]


def findings(found: Collection[Service], ignored: Collection[str]) -> list[Finding]:
    """ignored: the rules that are not to be said."""
    return of_services(RULES, found, ignored)


def _of_host(instance: Instance, answer: Answer, times: Mapping[str, str], processors: int) -> dict[str, Any]:
    settings = answer["facts"]["settings"]
    known: dict[str, Any] = {"processors": processors}
    used, since = (times.get(name, "") for name in _TIMES)
    if used.isdigit() and since.isdigit() and int(since) and int(used) < 2**63:  # systemd's word for unknown
        known["cpu"], known["up"] = int(used) / 1e9, time.monotonic() - int(since) / 1e6
    if instance["kind"] == "beat":
        if "entries" in answer and not answer.get("more_entries"):  # all are known
            known["entries"] = {entry["queue"]: entry["name"] for entry in answer["entries"]}
        return known
    if node_name(instance) in settings.get("nodes", {}):
        known["node"] = settings["nodes"][node_name(instance)]
    queues = instance["queues"] or settings.get("default_queues")
    return {**known, "queues": queues} if queues else known
