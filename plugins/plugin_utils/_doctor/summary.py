# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor says of all hosts together, from what celery_doctor has answered on each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import printable
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor import facts, fleet
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.findings import (
    HINT,
    SERIOUS,
    SEVERITIES,
    WARNING,
    Finding,
    merged,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.rules import RULES

from .._common.silence import reason
from .._report.words import count, listed

LONGEST = 1000  # characters of a text of a finding
MOST = 1000  # findings, and services, of a host
_LINES = {rule.name: rule.line for rule in RULES}
_WORDS = {SERIOUS: "serious finding", WARNING: "warning", HINT: "hint"}
FAILS = {"serious": {SERIOUS}, "warning": {SERIOUS, WARNING}, "never": set()}


@dataclass(frozen=True)
class Summary:
    findings: list[Finding]
    unknown: dict[str, str]  # why a host, or a service of it, could not be examined
    services: int  # that were examined

    @property
    def counts(self) -> dict[str, int]:
        """How much was found of each severity, and how much could not be examined."""
        counted = Counter(finding.severity for finding in self.findings)
        return {**{severity: counted[severity] for severity in SEVERITIES}, "unknown": len(self.unknown)}

    @property
    def sentence(self) -> str:
        said = [count(self.counts[severity], word) for severity, word in _WORDS.items() if self.counts[severity]]
        examined = f"{count(self.services, 'service')} examined: {listed(said) or 'nothing found'}."
        if not self.unknown:
            return examined
        return f"{examined} {count(len(self.unknown), 'place')} could not be examined."

    def fails(self, fail_on: str) -> bool:
        return bool(
            FAILS[fail_on] and (self.unknown or {finding.severity for finding in self.findings} & FAILS[fail_on])
        )

    def as_data(self) -> dict[str, Any]:
        return {
            "sentence": self.sentence,
            "findings": [finding.as_data() for finding in self.findings],
            "unknown": self.unknown,
        }


def summarize(results: Mapping[str, Sequence[Any]], ignored: Collection[str] = (), complete: bool = True) -> Summary:
    """What there is to say.

    results: those of celery_doctor on each host, by the host's name. Hosts may answer anything.
    complete: whether these are all hosts of the inventory that have services.
    """
    findings: list[Finding] = []
    members: list[fleet.Member] = []
    unknown: dict[str, str] = {}
    for host, answers in results.items():
        name = printable(host)
        for answer in answers:
            if not isinstance(answer, Mapping) or answer.get("skipped"):
                continue
            if "services" not in answer:
                unknown[name] = reason(answer)
                continue
            findings += _findings(name, answer.get("findings"))
            members += _members(name, answer["services"])
            unknown.update(_unknown(name, answer.get("unknown")))
    of_all = fleet.of_fleet(members, ignored, complete=complete and not unknown)
    return Summary(merged([*findings, *of_all]), unknown, len(members))


def _findings(host: str, given: Any) -> Iterator[Finding]:
    for each in _bounded(given, list):
        if not isinstance(each, dict) or each.get("rule") not in _LINES or each.get("severity") not in SEVERITIES:
            continue
        where = tuple(f"{host}: {printable(name)}" for name in _bounded(each.get("where"), list))
        why, write = (printable(each.get(name, ""), LONGEST) for name in ("why", "write"))
        yield Finding(each["rule"], each["severity"], where, _LINES[each["rule"]], why, write)


def _members(host: str, given: Any) -> Iterator[fleet.Member]:
    for name, about in _bounded(given, dict).items():
        if isinstance(about, dict):
            kind = "beat" if about.get("kind") == "beat" else "worker"
            yield fleet.Member(host, printable(name), kind, facts.read(about.get("facts")))


def _unknown(host: str, given: Any) -> dict[str, str]:
    return {f"{host}: {printable(name)}": printable(why, LONGEST) for name, why in _bounded(given, dict).items()}


def _bounded(given: Any, kind: type) -> Any:
    return given if isinstance(given, kind) and len(given) <= MOST else kind()
