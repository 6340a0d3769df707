"""The result of a scenario, from the records that rig/recorders wrote, and tables of results."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent

LINES_OF_A_MESSAGE = 12


@dataclass
class Result:
    scenario: str
    seconds: float
    log: Path
    passed: int = 0
    failures: dict[str, str] = field(default_factory=dict)  # what failed: why
    steps: dict[str, float] = field(default_factory=dict)  # name: seconds


def read(scenario: str, seconds: float, log: Path, records: list[dict], ok: bool) -> Result:
    """`ok`: whether Molecule itself succeeded."""
    result = Result(scenario, seconds, log)
    outcomes: dict[str, str] = {}
    converged: set[str] = set()
    for record in records:
        if "test" in record:
            name = record["test"]
            # The worst outcome counts: a test that passed may still fail in its teardown.
            outcomes[name] = "failed" if "failed" in (record["outcome"], outcomes.get(name)) else record["outcome"]
            if record["outcome"] == "failed":
                result.failures[name] = record["message"]
        elif "verified" in record:
            add(result.steps, "verify", record["verified"])
        else:
            read_playbook(result, record, converged)
    result.passed = list(outcomes.values()).count("passed")
    if not (ok and result.passed) and not result.failures:  # a run without tests proves nothing
        result.failures[f"{scenario}: Molecule"] = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    return result


def read_playbook(result: Result, record: dict, converged: set[str]) -> None:
    step = record["playbook"]
    if record["check"]:
        step = "check"
    elif step == "converge" and step in converged:
        step = "idempotence"
        for task in record["changed"]:
            result.failures[failed_task(result, step, task)] = "changed something in a second run"
    converged.add(step)
    add(result.steps, step, record["seconds"])
    for failure in record["failures"]:
        result.failures[failed_task(result, step, failure)] = failure["message"]


def failed_task(result: Result, step: str, task: dict) -> str:
    return f"{result.scenario}: {step}: {task['task']} [{task['host']}]"


def add(steps: dict[str, float], name: str, seconds: float) -> None:
    steps[name] = steps.get(name, 0) + seconds


def one_line(result: Result) -> str:
    steps = ", ".join(f"{name} {seconds:.0f}" for name, seconds in result.steps.items())
    verdict = f"{len(result.failures)} failed" if result.failures else "passed"
    return f"{result.scenario}: {verdict} after {result.seconds:.0f} s ({steps})"


def report(results: list[Result]) -> str:
    """The table of all scenarios, each failure with its message, and the totals."""
    rows = [
        (result.scenario, str(result.passed), str(len(result.failures)), f"{result.seconds:.0f}") for result in results
    ]
    passed, failed = sum(result.passed for result in results), sum(len(result.failures) for result in results)
    parts = [table(("scenario", "passed", "failed", "seconds"), rows)]
    for result in results:
        parts += [explain(name, message, result.log) for name, message in result.failures.items()]
    return "\n\n".join([*parts, f"{passed} passed, {failed} failed"])


def soak_report(results: list[Result]) -> str:
    """For the rounds of one scenario: how often each failure occurred, its last message, and the rounds' times."""
    times = Counter(name for result in results for name in result.failures)
    last = {name: (message, result.log) for result in results for name, message in result.failures.items()}
    rows = [(name, f"{count} of {len(results)}") for name, count in times.most_common()]
    good = sum(not result.failures for result in results)
    seconds = ", ".join(f"{result.seconds:.0f}" for result in results)
    parts = [table(("what failed", "times"), rows)] if rows else []
    parts += [explain(name, *last[name]) for name in times]
    parts.append(f"{results[0].scenario}: seconds of each round: {seconds}")
    return "\n\n".join([*parts, f"{good} passed, {len(results) - good} failed"])


def explain(name: str, message: str, log: Path) -> str:
    lines = message.splitlines()
    if len(lines) > LINES_OF_A_MESSAGE:
        lines = [*lines[:LINES_OF_A_MESSAGE], "…"]
    return f"FAILED {name}\n{indent(chr(10).join(lines), '    ')}\n    log: {log}"


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """The first column is aligned to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [header, tuple("─" * width for width in widths), *rows]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    )
