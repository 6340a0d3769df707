# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the probe's answer. The application may forge it: only data of the expected form count."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from .._celery import log_file
from .._celery.options import Instance
from .._celery.secrets import without_secrets
from .._common.texts import printable
from .._doctor import facts

Answer = dict[str, Any]

MARK = "evenkeel-probe:"
_FACTS = '{"facts":'  # how the text of a line for the doctor begins
_LONGEST = 2**16  # characters of a line
_READ = 2000  # characters of a text that are searched for secrets; fewer are shown
_MOST = 2**16  # characters of all texts of an answer that are searched for secrets, as this takes root some time
_MOST_MEMORY = 2**50


class AnswerError(Exception):
    """The answer does not have the expected form."""


def paths(instance: Instance) -> list[str]:
    """What the probe looks at: what the service has to be able to write to, its log file last."""
    file = log_file.path(instance) if log_file.other_directory(instance) else None
    return [*log_file.writable_paths(instance), *([file] if file else [])]


def read(output: str, instance: Instance) -> Answer:
    """What the lines with our mark say together, with all texts of it fit to be shown. Raises AnswerError."""
    answer: Answer = {}
    told: dict[str, Any] = {}  # to the doctor, a line for each section
    for line in output.splitlines():
        text = line[len(MARK) :]
        if not line.startswith(MARK):
            continue
        if text.startswith(_FACTS):
            told.update(_told(text))
        else:
            answer.update(_checked(text, instance))
    texts = _Texts(instance)
    answer = texts.shown(answer)
    return {**answer, "facts": _facts(told, texts)} if told else answer


def _told(text: str) -> dict[str, Any]:
    """The facts of a line. One that can't be read, such as one that was cut off, tells none."""
    try:
        return dict(json.loads(text[:_LONGEST])["facts"])
    except (ValueError, TypeError, RecursionError):
        return {}


def _facts(told: dict[str, Any], texts: _Texts) -> facts.Facts:
    fit = {}
    # Whatever has another form, such as a list of lists of lists, is left out before it costs anything.
    for section, known in facts.of_form(told).items():
        with contextlib.suppress(AnswerError):
            fit[section] = texts.shown(known)
    return facts.read(fit)


def shown(value: Any, instance: Instance) -> Any:
    """The value without secrets, and with each text in it printable and not too long. Raises AnswerError."""
    return _Texts(instance).shown(value)


class _Texts:
    """Makes the texts of an answer fit to be shown, those of dictionaries' keys too. Each is searched once."""

    def __init__(self, instance: Instance) -> None:
        self._instance, self._room = instance, _MOST
        self._searched: dict[str, str] = {}

    def shown(self, value: Any) -> Any:
        """Raises AnswerError if there are too many texts."""
        if isinstance(value, str):
            return self._text(value[:_READ])
        if isinstance(value, list):
            return [self.shown(each) for each in value]
        if isinstance(value, dict):
            return {self.shown(name): self.shown(each) for name, each in value.items()}
        return value

    def _text(self, text: str) -> str:
        if text not in self._searched:
            self._room -= len(text)
            if self._room < 0:
                raise AnswerError
            self._searched[text] = printable(without_secrets(text, [self._instance]))
        return self._searched[text]


def _checked(text: str, instance: Instance) -> Answer:
    try:
        answer = json.loads(text[:_LONGEST])
    except (ValueError, RecursionError):
        raise AnswerError from None
    if not isinstance(answer, dict) or not all(
        name in _FORMS and _FORMS[name](value, instance) for name, value in answer.items()
    ):
        raise AnswerError
    return answer


def _is_text(value: Any, _instance: Instance) -> bool:
    return isinstance(value, str)


def _is_switch(value: Any, _instance: Instance) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any, below: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below


def _is_absent(value: Any, instance: Instance) -> bool:
    return isinstance(value, list) and all(path in paths(instance) for path in value)


def _is_closed(value: Any, instance: Instance) -> bool:
    return isinstance(value, dict) and all(
        path in paths(instance)
        and isinstance(about, list)
        and len(about) == 4
        and about[0] in (path, *map(str, Path(path).parents))
        and all(_is_number(number, 2**32) for number in about[1:])
        for path, about in value.items()
    )


def _is_roots(value: Any, instance: Instance) -> bool:
    if not (isinstance(value, list) and len(value) == 2 and _is_number(value[0], 2**32) and isinstance(value[1], list)):
        return False
    directories = [Path(path) for path in paths(instance)]
    return all(
        isinstance(file, str) and Path(file).parent in directories and Path(file).name != ".." for file in value[1]
    )


def _is_transport(value: Any, _instance: Instance) -> bool:
    return value is None or (isinstance(value, str) and bool(re.fullmatch(r"[a-z0-9_]{1,40}", value)))


def _is_settings(value: Any, instance: Instance) -> bool:
    return isinstance(value, dict) and all(
        name in instance["settings"]
        and (near is None or (isinstance(near, str) and bool(re.fullmatch(r"[A-Za-z0-9_]{1,80}", near))))
        for name, near in value.items()
    )


def _is_footprint(value: Any, _instance: Instance) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(_is_number(size, _MOST_MEMORY) for size in value)


def _is_version(value: Any, _instance: Instance) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_number(number, 2**16) for number in value)


def _is_time_limits(value: Any, _instance: Instance) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_number(limit, 2**32) for limit in value)


def _is_databases(value: Any, instance: Instance) -> bool:
    return isinstance(value, list) and all(
        isinstance(database, dict)
        and database.keys() == {"name", "engine", "state", "file", "why"}
        and all(_is_text(about, instance) for about in database.values())
        for database in value
    )


def _is_texts(value: Any, instance: Instance) -> bool:
    return isinstance(value, list) and all(_is_text(each, instance) for each in value)


_ENTRY = {
    **dict.fromkeys(("name", "task", "queue", "next", "next_local"), _is_text),
    **dict.fromkeys(("known", "has_gap"), _is_switch),
}


def _is_entries(value: Any, instance: Instance) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, dict)
        and entry.keys() == _ENTRY.keys()
        and all(_ENTRY[name](about, instance) for name, about in entry.items())
        for entry in value
    )


_FORMS = {
    "absent": _is_absent,
    "closed": _is_closed,
    "roots": _is_roots,
    "directory": _is_text,
    "executable": _is_text,
    "failed": _is_text,
    "version": _is_version,
    "child": _is_switch,
    "unknown_settings": _is_settings,
    "uri": _is_text,
    "broker": _is_text,
    "results_uri": _is_text,
    "results": _is_text,
    "transport": _is_transport,
    "footprint": _is_footprint,
    "time_limits": _is_time_limits,
    **dict.fromkeys(("scheduler", "zone", "schedule"), _is_text),
    "tables": _is_switch,
    "migrations": _is_texts,
    "databases": _is_databases,
    "entries": _is_entries,
    "more_entries": lambda value, _instance: _is_number(value, 2**32),
}
