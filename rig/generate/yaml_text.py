"""YAML in this project's style: lists are indented, short ones are on one line."""

from __future__ import annotations

from typing import Any

import yaml

LONGEST_WORD = 20


class Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def generate_anchor(self, _node: yaml.Node) -> str:
        return "options"  # the only data that a file repeats: those of a role's entry points


def _list(dumper: Dumper, data: list[Any]) -> yaml.Node:
    short = all(len(str(item)) <= LONGEST_WORD for item in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=short)


def _text(dumper: Dumper, data: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=None if data else '"')


Dumper.add_representer(list, _list)
Dumper.add_representer(str, _text)


def block(data: Any) -> str:
    # PyYAML breaks a line after the word that passes the width.
    return yaml.dump(data, Dumper=Dumper, width=90, sort_keys=False, allow_unicode=True)


def inline(value: Any) -> str:
    return yaml.dump(value, Dumper=Dumper, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
