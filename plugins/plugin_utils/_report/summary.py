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
from .goals import MET, NOT_MET, UNKNOWN, Goal, judge
from .wanted import Wanted
from .words import count, listed, plain

FINE, WRONG, CANT_KNOW = "fine", "wrong", "can't know"
EXIT_CODES = {FINE: 0, WRONG: 1, CANT_KNOW: 3}
SIGNS = {MET: "✓", NOT_MET: "✗", UNKNOWN: "?"}
DOWN = {"missing", "failed", "stopped", "hung", "disconnected"}
UP = {"ready", "standby"}
_ONE = {
    "running": "The service runs, but does not tell whether it works",
    "unknown": "The state of the service is not known",
}


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

    def as_data(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "sentence": self.sentence,
            "time": self.now,
            "days": self.days,
            "to_do": [_plain(asdict(advice)) for advice in self.advice],
            "goals": [_plain(asdict(goal)) for goal in self.goals],
            "no_answer": dict(self.silent),
            "hosts": {host: asdict(answer) for host, answer in self.answers.items()},
        }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: plain(value) if isinstance(value, str) else value for key, value in fields.items()}


def summarize(answers: Mapping[str, Answer], silent: Mapping[str, str], wanted: Wanted, now: float) -> Summary:
    goals, advice = judge(answers, silent, wanted, now), advise(answers, silent)
    states = [service.state for answer in answers.values() for service in answer.services]
    verdict, sentence = _verdict(goals, states, len(silent))
    return Summary(now, wanted.days, answers, silent, goals, advice, verdict, sentence)


def _verdict(goals: list[Goal], states: list[str], silent: int) -> tuple[str, str]:
    if not states and not silent:
        return CANT_KNOW, "No host has a service."
    down = sum(state in DOWN for state in states)
    not_met = sum(goal.verdict == NOT_MET for goal in goals)
    reasons = [
        f"{count(silent, 'host')} did not answer" if silent else "",
        f"{count(down, 'service is', 'services are')} down" if down else "",
        f"{count(not_met, 'goal is', 'goals are')} not met" if not_met else "",
    ]
    if any(reasons):
        sentence = f"{listed([each for each in reasons if each])}."
        return WRONG, sentence if down or silent else f"{_running(states)}, but {sentence}"
    if any(state not in UP for state in states):
        return CANT_KNOW, f"{_running(states)}."
    if any(goal.verdict == UNKNOWN for goal in goals):
        return CANT_KNOW, f"{_running(states)}. {_known(goals)}"
    all_goals = (
        "" if not goals else ", and the goal is met" if len(goals) == 1 else f", and all {len(goals)} goals are met"
    )
    running = _running(states)
    return FINE, f"All is well: {running[0].lower()}{running[1:]}{all_goals}."


def _running(states: list[str]) -> str:
    up = sum(state in UP for state in states)
    if up == len(states):
        return {1: "The service runs", 2: "Both services run"}.get(up, f"All {up} services run")
    others = sorted(set(states) - UP)
    if len(states) == 1:
        return _ONE.get(states[0], f"The service is {states[0]}")
    return (
        f"{up} of {count(len(states), 'service')} {'is' if up == 1 else 'are'} ready; the others are {listed(others)}"
    )


def _known(goals: list[Goal]) -> str:
    met = sum(goal.verdict == MET for goal in goals)
    if not met:
        return "Whether the goals are met can't be known yet."
    return f"{met} of {len(goals)} goals {'is' if met == 1 else 'are'} met; of the others, it can't be known yet."
