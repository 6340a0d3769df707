# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""psycopg 3 or psycopg2, whichever is installed, as one interface of a few lines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...options import StuckJobsError

PACKAGES = "python3-psycopg or python3-psycopg2"
LONGEST = 80  # characters of a value that an error shows

Result = Sequence[tuple[Any, ...]]


class ServerError(Exception):
    """What the server or the connection to it reports, on one line."""

    def __init__(self, message: str, state: str, is_lost: bool) -> None:
        super().__init__(message)
        self.state = state  # the SQLSTATE; empty if the connection itself failed
        self.is_lost = is_lost  # whether there is no connection any more


class Unfit(Exception):
    """A value of ours that no text of PostgreSQL's can be: the value itself, as Python writes it."""


class Connection:
    """A connection on which each statement is a transaction of its own, unless BEGIN was executed."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        """parameters: libpq's. Raises ServerError, or StuckJobsError if no driver is installed."""
        self._module, more = _driver()
        try:
            self._connection = self._module.connect(**parameters, **more)
        except self._module.Error as error:
            raise ServerError(_message(error), _state(error), is_lost=True) from None
        except ValueError:  # it would show the password
            raise ServerError("a value of the login is not UTF-8, or has a NUL", "", is_lost=True) from None
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()

    def run(self, sql: str, values: Sequence[Any] | None = None, expected: Result = ()) -> Result:
        """The rows of a statement with these values for its %s, or of several statements without any.

        A list is the text of an array, which the statement casts to the array's type.
        expected: the rows that it probably has: if there are as many, these are returned, and none is read.
        Raises ServerError; Unfit; and UnicodeDecodeError for a value of the database's that is not UTF-8.
        """
        try:
            self._cursor.execute(sql, values and [_array(v) if isinstance(v, list) else v for v in values])
            if expected and self._cursor.rowcount == len(expected):
                return expected
            return self._cursor.fetchall() if self._cursor.description else []
        except (self._module.Error, ValueError) as error:
            for text in _texts(values or ()):
                if not _is_fit(text):
                    raise Unfit(repr(text[:LONGEST])) from None
            if not isinstance(error, self._module.Error):
                raise
            raise ServerError(_message(error), _state(error), self.is_lost) from None

    @property
    def done(self) -> str:
        """The server's word for what the last statement did, such as COMMIT."""
        return self._cursor.statusmessage or ""

    @property
    def is_lost(self) -> bool:
        return bool(self._connection.closed)

    def close(self) -> None:
        self._connection.close()


def _driver() -> tuple[Any, dict[str, Any]]:
    """The driver, and how it connects: nothing is prepared, as only one of a pooler's connections would know it."""
    try:
        import psycopg  # noqa: PLC0415

        return psycopg, {"prepare_threshold": None}
    except ImportError:
        pass
    try:
        import psycopg2  # noqa: PLC0415

        return psycopg2, {}
    except ImportError:
        raise StuckJobsError(
            f"{sys.executable} has neither psycopg nor psycopg2, and one of them is needed for PostgreSQL. Install"
            f" {PACKAGES}."
        ) from None


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """Those among the values, which may be lists."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _texts(value)


def _array(values: Sequence[Any]) -> str:
    """As PostgreSQL writes it. The drivers take forty times as long, as they look for the type of each value."""
    text = '","'.join([str(value) for value in values])
    if "\\" in text or text.count('"') > 2 * (len(values) - 1) or None in values:
        return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"
    return '{"' + text + '"}'


def _quoted(value: Any) -> str:
    return '"' + str(value).replace("\\", r"\\").replace('"', r"\"") + '"'


def _is_fit(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _message(error: Exception) -> str:
    """Without DETAIL and CONTEXT, which may show other rows' values."""
    first = getattr(getattr(error, "diag", None), "message_primary", None)
    return " ".join((first or str(error)).split())


def _state(error: Exception) -> str:
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
