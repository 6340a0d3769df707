"""Descriptions of options, which are written in Ansible's markup, for Ansible and for READMEs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from module_utils._common.options import GRAMMAR, Option

_MARKUP = re.compile(r"\b[A-Z]\(([^)]*)\)")


def for_ansible(option: Option, siblings: Iterable[str], prefix: str) -> str | list[str]:
    """Adds the grammar of our own types, and turns O(name) of a sibling into the path that Ansible requires."""
    texts = option.sentences
    if option.type in GRAMMAR:
        texts[-1] += f" {GRAMMAR[option.type]}"
    texts = [with_prefix(text, siblings, prefix) for text in texts]
    return texts if len(texts) > 1 else texts[0]


def with_prefix(text: str, names: Iterable[str], prefix: str) -> str:
    return re.sub(rf"\bO\((?=(?:{'|'.join(names)})\b)", f"O({prefix}", text)


def plain(text: str) -> str:
    return _MARKUP.sub(r"\1", text)


def markdown(text: str) -> str:
    return _MARKUP.sub(r"`\1`", text)
