# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examines a host's services for the doctor: asks the probe, and applies the rules. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .._celery.options import Instance
from .._doctor.findings import Finding
from . import probe, traps
from .host import user_errors


@dataclass(frozen=True)
class Examined:
    findings: list[Finding]
    services: dict[str, dict[str, Any]]  # by name; for fleet.py
    unknown: dict[str, str]  # why a service, or a part of it, could not be examined, by its name


def examine(instances: list[Instance], ignored: Collection[str]) -> Examined:
    """ignored: the rules that are not to be said."""
    unknown = {instance["name"]: next(user_errors(instance), "") for instance in instances}
    askable = [instance for instance in instances if not unknown[instance["name"]]]
    answers = probe.ask_each(askable, of_workers=True)
    for instance in askable:
        unknown[instance["name"]] = _why_unknown(instance, answers[instance["name"]])
    found = traps.services(askable, answers)
    return Examined(
        traps.findings(found, ignored),
        {service.name: {"kind": service.instance["kind"], "facts": service.facts} for service in found},
        {name: why for name, why in unknown.items() if why},
    )


def _why_unknown(instance: Instance, answer: probe.Answer) -> str:
    """The first error, or why the probe has no answer; empty if everything could be examined."""
    why = next(probe.errors(instance, answer), "")
    if why or "facts" in answer:
        return why
    return next(probe.warnings(instance, answer), "it told nothing.")
