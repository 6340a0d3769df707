# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor found: which trap, how serious it is, where, why it matters, and what to write against it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Callable

from .._celery.options import Instance
from .._common.texts import printable
from .facts import NOTHING_KNOWN, Facts

SERIOUS, WARNING, HINT = SEVERITIES = ("serious", "warning", "hint")  # from the worst on
DOCUMENT = "docs/doctor.md"
LONGEST = 1000  # characters of why, and of what to write: applications and brokers may tell long names
NAMED = 3  # things that a sentence names


@dataclass(frozen=True)
class Service:
    """A service, and what its application, its broker and its workers say: facts.py."""

    instance: Instance
    facts: Facts = field(default_factory=lambda: NOTHING_KNOWN)

    @property
    def name(self) -> str:
        return self.instance["name"]


@dataclass(frozen=True)
class Trap:
    """What a rule says of a service: why it matters, and what to write. Each a sentence or more.

    severity: if it is another than that of the rule.
    """

    why: str
    write: str
    severity: str = ""


@dataclass(frozen=True)
class Rule:
    """A trap that can be known.

    line: what happens, for the head of the finding and the heading of the document.
    check: what it says of a service; None for a rule that needs all hosts (fleet.py).
    of_workers: whether it is about how tasks are executed, and says nothing of a beat with the same application.
    """

    name: str
    severity: str
    line: str
    source: str
    check: Callable[[Service], Iterator[Trap]] | None = None
    of_workers: bool = False


@dataclass(frozen=True)
class Finding:
    rule: str
    severity: str
    where: tuple[str, ...]  # services; on the controller, with their hosts
    line: str
    why: str
    write: str

    @classmethod
    def of(cls, rule: Rule, where: Iterable[str], trap: Trap) -> Finding:
        severity, texts = trap.severity or rule.severity, (trap.why, trap.write)
        why, write = (printable(text, LONGEST) for text in texts)
        return cls(rule.name, severity, tuple(where), rule.line, why, write)

    @property
    def sentence(self) -> str:
        """For a warning in one line, which names what is found in the document."""
        return f"{', '.join(self.where)}: {self.why} {self.write} ({DOCUMENT}, {self.rule})"

    def as_data(self) -> dict[str, Any]:
        return {**self.__dict__, "where": list(self.where)}


def of_services(rules: Iterable[Rule], services: Collection[Service], ignored: Collection[str] = ()) -> list[Finding]:
    """What the rules say of these services, the worst first. What is the same for several of them is said once."""
    return merged(
        Finding.of(rule, [service.name], trap)
        for rule in rules
        if rule.check and rule.name not in ignored
        for service in services
        if not rule.of_workers or service.instance["kind"] == "worker"
        for trap in rule.check(service)
    )


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, and those that differ only in where they are as one."""
    places: dict[Finding, list[str]] = {}
    for finding in findings:
        places.setdefault(replace(finding, where=()), []).extend(finding.where)
    together = [replace(finding, where=tuple(dict.fromkeys(where))) for finding, where in places.items()]
    return sorted(together, key=lambda finding: SEVERITIES.index(finding.severity))


def some(names: Collection[str]) -> str:
    """The first ones, for a sentence."""
    return ", ".join([*islice(names, NAMED), *(["…"] if len(names) > NAMED else [])])
