"""Generated blocks of READMEs, such as tables of options, between marks in a text that is written by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import markup
import yaml_text
from module_utils._common.options import Option
from module_utils._doctor.rules.versions import FAULTS

LONGEST_DEFAULT = 70


def table(options: Iterable[Option], nested: bool = True) -> str:
    """The options as a Markdown table; those of a dictionary follow below it, unless they have a table of their own."""
    rows = [("option", "type", "default", "meaning"), ("---",) * 4, *_rows(options, nested)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows(options: Iterable[Option], nested: bool, prefix: str = "") -> Iterator[tuple[str, ...]]:
    for option in options:
        name = prefix + option.name
        kind = f"{option.type} of {option.elements}" if option.elements else option.type
        meaning = " ".join(option.sentences)
        if not all(f"V({choice})" in meaning for choice in option.choices):
            meaning += f" One of {', '.join(f'V({choice})' for choice in option.choices)}."
        yield f"`{name}`", kind, _default(option), markup.markdown(meaning).replace("|", r"\|")
        if nested:
            yield from _rows(option.options, nested, f"{name}.")


def _default(option: Option) -> str:
    if option.required:
        return "required"
    if option.default is None:
        return ""
    default = yaml_text.inline(option.argument()["default"])
    return f"`{default}`" if len(default) <= LONGEST_DEFAULT else "see below"


def faults() -> str:
    """The versions with known faults as a Markdown table."""
    rows = [("package", "from", "fixed in", "what"), ("---",) * 4]
    rows += [
        (fault.package, "" if fault.since == "0" else fault.since, fault.fixed, f"[{fault.what}]({fault.source})")
        for fault in FAULTS
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def code(value: Any) -> str:
    """A value as YAML, in a code block."""
    return f"```yaml\n{yaml_text.block(value)}```\n"


def with_blocks(path: Path, blocks: dict[str, str]) -> str:
    """The file's text with each block between its two marks, lines with `NAME: by make generate` and `end of NAME`."""
    text = path.read_text()
    for name, block in blocks.items():
        marks = rf"(^[^\n]*\b{name}: by make generate\b[^\n]*\n).*?(^[^\n]*\bend of {name}\b)"
        found = list(re.finditer(marks, text, re.DOTALL | re.MULTILINE))
        if len(found) != 1:
            raise SystemExit(
                f"{path}: '{name}: by make generate' and 'end of {name}' mark {len(found)} places, not one."
            )
        text = text[: found[0].end(1)] + block + text[found[0].start(2) :]
    return text
