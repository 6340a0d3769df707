# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examines a host's services for the doctor: asks the probe what it finds, and applies the rules. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .._celery.options import Instance
from .._doctor.findings import Finding, Service, of_services
from .._doctor.rules import RULES
from . import probe
from .host import user_errors


@dataclass(frozen=True)
class Examined:
    """What is known of a host's services, each by its name."""

    findings: list[Finding]
    services: dict[str, dict[str, Any]]  # for fleet.py
    unknown: dict[str, str]  # why a service, or a part of it, could not be examined


def examine(instances: list[Instance], ignored: Collection[str]) -> Examined:
    """ignored: the rules that are not to be said."""
    unknown = {instance["name"]: next(user_errors(instance), "") for instance in instances}
    askable = [instance for instance in instances if not unknown[instance["name"]]]
    answers = probe.ask_each(askable, of_workers=True)
    for instance in askable:
        answer = answers[instance["name"]]
        unknown[instance["name"]] = next(probe.errors(instance, answer), "")
        if "facts" not in answer and not unknown[instance["name"]]:
            unknown[instance["name"]] = next(probe.warnings(instance, answer), "it gave no answer.")
    facts = {name: answer["facts"] for name, answer in answers.items() if "facts" in answer}
    services = [Service(instance, facts[instance["name"]]) for instance in askable if instance["name"] in facts]
    return Examined(
        of_services(RULES, services, ignored),
        {service.name: {"kind": service.instance["kind"], "facts": service.facts} for service in services},
        {name: why for name, why in unknown.items() if why},
    )
