"""Alert rules with one mistake each: do the cases notice?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Rule = dict[str, Any]

SWAPS = (
    (" > ", " < "),
    (" < ", " > "),
    (" == ", " != "),
    (" unless ", " and "),
    (" and ", " unless "),
    (" or ", " and "),
)


def mutants(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """Each mistake by its name, with the rule that has it."""
    expression = rule["expr"]
    yield "never fires", {**rule, "expr": f"({expression}) and on () (vector(1) == 0)"}
    if "for" in rule:
        yield "fires at once", {**rule, "for": "0s"}
        yield "fires late", {**rule, "for": re.sub(r"\d+", lambda number: str(2 * int(number[0])), rule["for"])}
    for old, new in SWAPS:
        for found in re.finditer(re.escape(old), expression):
            changed = expression[: found.start()] + new + expression[found.end() :]
            yield f"{old.strip()} is {new.strip()} at {found.start()}", {**rule, "expr": changed}
    for duration in sorted(set(re.findall(r"\[(\w+)\]", expression))):
        yield f"looks back 2m instead of {duration}", {**rule, "expr": expression.replace(f"[{duration}]", "[2m]")}
