"""Files with which promtool tests alert rules, each rule by its own cases; and the same for rules with a mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from alert_cases import Case
from mutants import mutants

Rule = dict[str, Any]


def rules_of(directory: Path) -> list[Rule]:
    """The rules in a directory. Of their texts, only the labels are left that these name."""
    groups = [group for path in directory.glob("*.rules.yml") for group in yaml.safe_load(path.read_text())["groups"]]
    return [_short(rule) for group in groups for rule in group["rules"]]


def _short(rule: Rule) -> Rule:
    texts = rule.get("annotations", {})
    named = sorted({label for text in texts.values() for label in re.findall(r"\$labels\.(\w+)", text)})
    return {**rule, "annotations": {label: f"{{{{ $labels.{label} }}}}" for label in named}}


def by_alert(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    """The alerts by their names. Several have one name: that of each queue, worker, task or host."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        if "alert" in rule:
            found.setdefault(rule["alert"], []).append(rule)
    return found


def write(directory: Path, name: str, alert: str, rules: list[Rule], cases: Iterable[Case]) -> Iterator[str]:
    """Writes the rules and the cases of an alert; yields the names of the tests' files."""
    needed = [rule for rule in rules if "alert" in rule or any(rule["record"] in other["expr"] for other in rules)]
    (directory / f"{name}.rules.json").write_text(json.dumps({"groups": [{"name": "all", "rules": needed}]}))
    by_interval: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        checks = [_with_texts(check, rules[-1]) for check in case.checks if check["alertname"] == alert]
        if checks:
            by_interval.setdefault(case.interval, []).append({**case.test(), "alert_rule_test": checks})
    for interval, tests in by_interval.items():
        file = {"rule_files": [f"{name}.rules.json"], "evaluation_interval": interval, "tests": tests}
        (directory / f"{name}.{interval}.json").write_text(json.dumps(file))
        yield f"{name}.{interval}.json"


def _with_texts(check: dict[str, Any], rule: Rule) -> dict[str, Any]:
    """The check with the labels that the alert's texts name. An alert without one would say nothing in its place."""
    expected = [
        {**each, "exp_annotations": {label: each["exp_labels"].get(label, "") for label in rule["annotations"]}}
        for each in check["exp_alerts"]
    ]
    return {**check, "exp_alerts": expected}


def correct(directory: Path, rules: list[Rule], cases: list[Case]) -> list[str]:
    records = [rule for rule in rules if "record" in rule]
    return [
        file
        for alert, ours in by_alert(rules).items()
        for file in write(directory, alert, alert, [*records, *ours], cases)
    ]


def mistaken(directory: Path, rules: list[Rule], cases: list[Case]) -> dict[str, list[str]]:
    """The files of the tests for each mistake in an alert, by what it is."""
    records = [rule for rule in rules if "record" in rule]
    files = {}
    for alert, ours in by_alert(rules).items():
        # Of rules that differ only in a name, the one that the cases are about: its name is in what they expect.
        expected = [
            labels.items() for case in cases for check in case.checks if check["alertname"] == alert
            for each in check["exp_alerts"] for labels in [each["exp_labels"]]
        ]  # fmt: skip
        index = next(i for i, rule in enumerate(ours) if any(rule["labels"].items() <= labels for labels in expected))
        for number, (mistake, mutant) in enumerate(mutants(ours[index])):
            changed = [*records, *ours[:index], mutant, *ours[index + 1 :]]
            files[f"{alert} {mistake}"] = list(write(directory, f"{alert}-{number}", alert, changed, cases))
    return files
