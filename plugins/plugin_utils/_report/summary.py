# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that the report says, before it becomes a table, a page or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .advice import Advice, advise
from .answer import Answer
from .goals import MET, NOT_MET, UNKNOWN, Goal, Wanted, judge
from .words import count, plain

FINE, WRONG, CANT_KNOW = "fine", "wrong", "can't know"
EXIT_CODES = {FINE: 0, WRONG: 1, CANT_KNOW: 3}
DOWN = ("failed", "stopped", "hung", "disconnected")


@dataclass(frozen=True)
class Summary:
    """answers: of each host that gave one. silent: why the others gave none. now: seconds since 1970."""

    now: float
    days: float
    answers: Mapping[str, Answer]
    silent: Mapping[str, str]
    goals: list[Goal]
    advice: list[Advice]
    verdict: str
    sentence: str

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    def as_data(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """The report as JSON has it. answers: as the hosts gave them."""
        return {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "sentence": self.sentence,
            "time": self.now,
            "days": self.days,
            "to_do": [_plain(asdict(advice)) for advice in self.advice],
            "goals": [_plain(asdict(goal)) for goal in self.goals],
            "no_answer": dict(self.silent),
            "hosts": dict(answers),
        }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: plain(value) if isinstance(value, str) else value for key, value in fields.items()}


def summarize(answers: Mapping[str, Answer], silent: Mapping[str, str], wanted: Wanted, now: float) -> Summary:
    goals, advice = judge(answers, silent, wanted), advise(answers, silent)
    services = [service for answer in answers.values() for service in answer.services]
    down = sum(not service.loaded or service.state in DOWN for service in services)
    verdict, sentence = _verdict(goals, len(services), down, len(silent))
    return Summary(now, wanted.days, answers, silent, goals, advice, verdict, sentence)


def _verdict(goals: list[Goal], services: int, down: int, silent: int) -> tuple[str, str]:
    not_met = sum(goal.verdict == NOT_MET for goal in goals)
    unknown = sum(goal.verdict == UNKNOWN for goal in goals)
    met = sum(goal.verdict == MET for goal in goals)
    wrong = [
        f"{count(silent, 'host')} did not answer" if silent else "",
        f"{count(down, 'service is', 'services are')} down" if down else "",
        f"{count(not_met, 'goal is', 'goals are')} not met" if not_met else "",
    ]
    running = "The service runs" if services == 1 else f"All {services} services run"
    if not services and not silent:
        return CANT_KNOW, "No host has a service."
    if any(wrong):
        said = [each for each in wrong if each]
        sentence = " and ".join(filter(None, [", ".join(said[:-1]), said[-1]])) + "."
        return WRONG, sentence if down or silent else f"{running}, but {sentence}"
    if unknown:
        if not met:
            return CANT_KNOW, f"{running}. Whether the goals are met can't be known yet."
        are = "is" if met == 1 else "are"
        return CANT_KNOW, f"{running}. {met} of {len(goals)} goals {are} met, of the others it can't be known yet."
    if not goals:
        return FINE, f"All is well: {running[0].lower()}{running[1:]}."
    all_goals = "the goal is met" if met == 1 else f"all {met} goals are met"
    return FINE, f"All is well: {running[0].lower()}{running[1:]}, and {all_goals}."
