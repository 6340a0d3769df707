# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hides the secrets of services' environments in whatever we print.

A secret that is hidden too rarely is known to all. One that is hidden too often makes messages unreadable, such as
"can't be loaded in ********". So a variable's name counts first, then the look of its value.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

from .._common.secrets import HIDDEN, assigned_secrets, says_secret
from .._common.texts import printable
from .options import Instance

_SHORTEST = 8  # characters; a shorter value is unlikely to be a secret, and occurs in too many other words
_SHORTEST_NAMED = 4  # of a value whose name says that it is a secret
_LONGEST_PIECE = 64  # characters by which a long secret is recognized

# Values that are public unless their names say something else.
_PUBLIC = re.compile(
    r"/[^\s:@?=]*"  # a path
    r"|[A-Za-z_]\w{0,30}(\.[A-Za-z_]\w{0,30})+(:\w{1,30})?"  # a module or a class
    r"|[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+(:\d{1,5})?|localhost:\d{1,5}"  # a host
    r"|[0-9:.,+\- ]+[a-z]{0,3}"  # a number, a duration
    r"|[A-Za-z]{1,14}([ _.-][A-Za-z]{1,14})?"  # a word or two
    r"|[a-z]{2}_[A-Z]{2}\.(UTF|utf)-?8|(UTF|utf)-8",
)


def shown(text: str, instances: Iterable[Instance]) -> str:
    """A message as it may be printed: without secrets, and without characters that a terminal would act on."""
    return printable(without_secrets(text, instances), None, keep="\n\t")


def without_secrets(text: str, instances: Iterable[Instance]) -> str:
    """The text with the secrets of the instances' environments hidden, in whatever form they occur in it.

    What a message needs stays readable: the names, users and paths of the instances' other options.
    """
    instances = list(instances)
    folded = _folded(text)
    hidden = bytearray(len(text))
    for secret in {secret for instance in instances for secret in secrets_in(instance["environment"])}:
        for form in _forms(secret):
            for start, end in _occurrences(folded, form):
                hidden[start:end] = b"\1" * (end - start)
    shown = [
        found.span()
        for option in {option for instance in instances for option in _public_options(instance)}
        for found in re.finditer(rf"(?<!\w){re.escape(option)}(?!\w)", text)
    ]
    for run in re.finditer(b"\1+", bytes(hidden)):
        if any(start <= run.start() and run.end() <= end for start, end in shown):
            hidden[run.start() : run.end()] = bytes(run.end() - run.start())
    pieces = groupby(zip(text, hidden), key=lambda each: each[1])
    return "".join(HIDDEN if secret else "".join(letter for letter, _secret in piece) for secret, piece in pieces)


def secrets_in(environment: Mapping[str, Any]) -> Iterator[str]:
    """The secret values of an environment, and the secrets within its other values."""
    for name, value in environment.items():
        text = "" if value is None else str(value)
        if says_secret(name) and len(text) >= _SHORTEST_NAMED:
            yield text
        if "://" in text:
            yield from _secrets_of_url(text)
        elif len(text) >= _SHORTEST and not all(map(_PUBLIC.fullmatch, re.split("[,;] ?", text))):
            yield text


def _secrets_of_url(url: str) -> Iterator[str]:
    found = set(assigned_secrets(url))
    try:
        parts = urlsplit(url)
        # In an http URL, a user without a password is a key, such as in Sentry's DSN.
        found |= {parts.password or (parts.username if parts.scheme.startswith("http") else None) or ""}
    except ValueError:
        found.add(url)
    if "@" in url and not any(found):
        found.add(url)
    yield from (secret for secret in found if len(secret) >= _SHORTEST_NAMED)


def _public_options(instance: Instance) -> set[str]:
    options = ("name", "app", "directory", "executable", "user", "group", "node_name", "scheduler")
    values = [instance.get(option) for option in options] + [*instance.get("queues", ()), *instance["writable_paths"]]
    return {str(value) for value in values if value}


@functools.lru_cache(256)
def _forms(secret: str) -> tuple[str, ...]:
    """How programs write this text: quoted, escaped, encoded, decoded, and each of its longer lines."""
    lines = [line for line in secret.splitlines() if len(line) >= _SHORTEST]
    plain = {secret, unquote(secret), unquote_plus(secret), *lines}
    found = set(plain)
    for text in plain:
        raw = text.encode(errors="surrogatepass")
        found |= {
            *(repr(text)[1:-1], repr(raw)[2:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]),
            *(quote(raw), quote(raw, safe=""), quote_plus(raw), html.escape(text), shlex.quote(text)),
            *(printable(text, None), text.encode("unicode_escape").decode(), raw.hex()),
            re.sub(r'(["\\`$])', r"\\\1", text),  # in an environment file
            *(_base64(raw, before) for before in range(3)),
        }
    return tuple({_folded(form) for form in found if len(form) >= _SHORTEST_NAMED})


def _base64(raw: bytes, before: int) -> str:
    """What these bytes are in base64 whatever surrounds them, if so many bytes (modulo 3) are before them."""
    return base64.b64encode(bytes(before) + raw).decode().rstrip("=")[(0, 2, 3)[before] : -1]


def _occurrences(text: str, form: str) -> Iterator[tuple[int, int]]:
    """Where a form is in the text, or half of it, as programs cut texts off."""
    if len(form) < _SHORTEST:
        yield from (found.span() for found in re.finditer(rf"(?<!\w){re.escape(form)}(?!\w)", text))
        return
    length = min(max(_SHORTEST, (len(form) + 1) // 2), _LONGEST_PIECE)
    for start in range(len(text) - length + 1):
        if text[start : start + length] in form:
            yield start, start + length


def _folded(text: str) -> str:
    """In lower case, with as many characters as before."""
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)
