# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an option is: written by hand in one table, from which `make generate` writes everything that Ansible reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from .texts import is_control, is_hidden, printable

# Our own types, each with its grammar (quantities.py) in a sentence. To Ansible they are strings.
GRAMMAR = {
    "size": "A size such as V(500M) or V(2G).",
    "duration": "A duration such as V(30s), V(5min) or V(1h 30min). A bare number is seconds.",
}


@dataclass(frozen=True)
class Option:
    """An option with the fields of Ansible's argument specifications.

    type: one of Ansible's types, or one of GRAMMAR.
    description: whole sentences in Ansible's markup. O(name) is the option of that name beside this one.
    default: the value of an option that is not set; None leaves it to Celery, systemd or whichever program reads it.
    free_text: whether its texts are only data, so that they may have several lines and invisible characters.
    """

    name: str
    type: str
    description: str | tuple[str, ...]
    default: Any = None
    choices: tuple[str, ...] = ()
    elements: str | None = None
    required: bool = False
    no_log: bool | None = None
    options: tuple[Option, ...] = ()
    free_text: bool = False

    @property
    def sentences(self) -> list[str]:
        return [self.description] if isinstance(self.description, str) else list(self.description)

    @property
    def ansible_type(self) -> str:
        return "str" if self.type in GRAMMAR else self.type

    def argument(self) -> dict[str, Any]:
        """The option as AnsibleModule wants it."""
        fields: dict[str, Any] = {"type": self.ansible_type}
        if self.elements:
            fields["elements"] = self.elements
        if self.required:
            fields["required"] = True
        if self.default is not None:
            fields["default"] = deepcopy(list(self.default) if self.type == "list" else self.default)
        if self.choices:
            fields["choices"] = list(self.choices)
        if self.no_log is not None:
            fields["no_log"] = self.no_log
        if self.options:
            fields["options"] = argument_spec(self.options)
        return fields


def argument_spec(options: Iterable[Option]) -> dict[str, dict[str, Any]]:
    """The options as AnsibleModule wants them, by their names."""
    return {option.name: option.argument() for option in options}


def with_defaults(options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each option: the given one, else its default.

    A dictionary is merged into its default; a list or a dictionary that is null is empty.
    """
    merged = {}
    for option in options:
        value = given.get(option.name, option.default)
        if option.type == "dict":
            value = {**(option.default or {}), **(value or {})}
        elif option.type == "list":
            value = list(value or ())
        merged[option.name] = value
    return merged


def hidden_characters(options: Iterable[Option], given: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """An error for each value with a character that could begin another line, or that a terminal would act on.

    Values reach units, cron's file, fstab and messages.
    """
    yield from _hidden_in(dict.fromkeys(given), where)
    for option in options:
        value = given.get(option.name)
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if option.options and isinstance(each, Mapping):
                name = each.get("name") or each.get("table") or option.name
                yield from hidden_characters(option.options, each, f"{where}{printable(name)}: ")
            else:
                yield from _hidden_in(
                    each, f"{where}{option.name}: ", option.free_text, not (option.no_log or option.free_text)
                )


def _hidden_in(value: Any, where: str, free_text: bool = False, shown: bool = True) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            name = key if shown else str(key).partition("=")[0]  # somebody may have written NAME=SECRET
            yield from _hidden_in(key, where, shown=shown)
            yield from _hidden_in(inner, f"{where}{printable(name)}: ", free_text, shown)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _hidden_in(each, where, free_text, shown)
    elif isinstance(value, str):
        found = next(filter(is_control if free_text else is_hidden, value), None)
        if found is not None:
            text = f"'{printable(value)}'" if shown else "a text"
            yield f"{where}{text} contains the character U+{ord(found):04X}. Remove it."
