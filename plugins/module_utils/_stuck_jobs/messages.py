# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report on its way from the process that works as the database's owner: small JSON messages, checked on arrival.

Nothing in them is trusted: the owner of the database may have forged them. Here all texts become printable that come
from a database, from an application or from such a process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .._common.child import Send
from .._common.texts import printable
from .actions import ACTIONS
from .change import Note
from .report import Report, Row

LISTS = ("rows", "skipped", "moved_on", "unknown")  # sent element by element
SENTENCE = 4000  # characters of an error; all together has to fit into a message
WARNING = 500
WARNINGS = 20


class Forged(Exception):
    """A message that a process of ours does not send."""


class Told:
    """What has been sent of a report."""

    def __init__(self, report: Report, send: Send) -> None:
        self.report, self._send = report, send
        self._sent = dict.fromkeys(LISTS, 0)

    def tell(self, is_complete: bool = False) -> None:
        """Sends what is new."""
        report = self.report
        for name in LISTS:
            elements = getattr(report, name)
            for element in elements[self._sent[name] :]:
                self._send({name: element})
            self._sent[name] = len(elements)
        state = {name: getattr(report, name) for name in _STATE}
        more = len(report.warnings) - WARNINGS
        rest = [f"there are {more} further warnings"] if more > 0 else []
        state["warnings"] = [printable(warning, WARNING) for warning in report.warnings[:WARNINGS]] + rest
        state["error"] = printable(report.error, SENTENCE)
        self._send({"state": state, "is_complete": is_complete})


def take(message: Any, report: Report, records: Path) -> bool:
    """Adds a message to the report. Returns whether the report is complete. Raises Forged.

    records: the directory of the owner's records.
    """
    if not isinstance(message, dict):
        raise Forged
    if "state" in message:
        state = message["state"]
        _check(isinstance(state, dict) and state.keys() == _STATE.keys())
        read = {name: of(state[name]) for name, of in _STATE.items()}
        _check(not read["record"] or (Path(read["record"]).parent == records and _is_a_record(read["record"])))
        tables = {table.table for table in report.database.family()}
        _check(all(table in tables for table in read["counts"]))
        for name, value in read.items():
            setattr(report, name, value)
        return message.get("is_complete") is True
    (name,) = message if len(message) == 1 else ("",)
    _check(name in LISTS)
    elements = getattr(report, name)
    _check(len(elements) < (len(report.database.jobs) if name == "unknown" else report.shown))
    elements.append(_ELEMENTS[name](message[name]))
    return False


def _check(is_as_expected: bool) -> None:
    if not is_as_expected:
        raise Forged


def _is_a_record(path: str) -> bool:
    return bool(re.fullmatch(r"[\w.-]+", Path(path).name, re.ASCII))


def _text(value: Any) -> str:
    _check(isinstance(value, str))
    return printable(value, SENTENCE)


def _value(value: Any) -> Any:
    _check(value is None or isinstance(value, (str, int, float)))
    return printable(value) if isinstance(value, str) else value


def _count(value: Any) -> int:
    _check(isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63)
    return value


def _seconds(value: Any) -> float:
    _check(isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e15)  # nor is it NaN
    return value


def _maybe_seconds(value: Any) -> float | None:
    return None if value is None else _seconds(value)


def _texts(value: Any) -> list[str]:
    _check(isinstance(value, list) and len(value) <= WARNINGS + 1)
    return list(map(_text, value))


def _counts(value: Any) -> dict[str, dict[str, int]]:
    _check(isinstance(value, dict) and all(isinstance(actions, dict) for actions in value.values()))
    _check(all(action in ACTIONS for actions in value.values() for action in actions))
    return {table: {action: _count(number) for action, number in actions.items()} for table, actions in value.items()}


def _row(value: Any) -> Row:
    _check(isinstance(value, list) and len(value) == len(Row._fields))
    row = Row(*value)
    _check(row.action in ACTIONS if isinstance(row.action, str) else False)
    either = {name: _value(getattr(row, name)) for name in ("status", "target")}
    countdown = row.countdown
    _check(isinstance(countdown, list) and len(countdown) in (0, 2))
    other = {**either, "countdown": tuple(map(_seconds, countdown))}
    return Row(**{**{name: _text(getattr(row, name)) for name in Row._fields if name not in other}, **other})


def _note(value: Any) -> Note:
    _check(isinstance(value, list) and len(value) == len(Note._fields))
    return Note(*map(_text, value))


_STATE: Mapping[str, Callable[[Any], Any]] = {
    **{"counts": _counts, "skipped_count": _count, "moved_on_count": _count, "sent": _count, "batches": _count},
    **{"oldest": _maybe_seconds, "locked": _seconds, "longest_lock": _seconds},
    **{"record": _text, "warnings": _texts, "error": _text},
}
_ELEMENTS: Mapping[str, Callable[[Any], Any]] = {"rows": _row, "skipped": _note, "moved_on": _note, "unknown": _text}
