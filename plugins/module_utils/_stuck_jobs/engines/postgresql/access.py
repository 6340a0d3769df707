# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection whose every transaction has our settings, and PostgreSQL's errors explained.

No setting outlives its transaction, and no statement is prepared, so a connection through PgBouncer's transaction
pooling is as good as a direct one.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...options import StuckJobsError
from ..base import Refused
from .driver import Connection, Result, ServerError, Unfit
from .options import PostgreSQLDatabase

OLDEST = 13  # version of the server that is tested
MOST_TIMEOUT = 2**31 - 1  # milliseconds that PostgreSQL counts
# With these, the text of a value is the same in every transaction, and a name without a schema is PostgreSQL's own.
# Temporary tables and types would come first if pg_temp were not named.
_OURS = {
    **{"TimeZone": "'UTC'", "DateStyle": "'ISO, YMD'", "IntervalStyle": "'postgres'", "bytea_output": "'hex'"},
    **{"extra_float_digits": "3", "search_path": "pg_catalog, pg_temp", "row_security": "off"},
}
_SET_OURS = "; ".join(f"SET LOCAL {name} = {value}" for name, value in _OURS.items())
_SET_THEIRS = "; ".join(f"SET LOCAL {name} TO DEFAULT" for name in _OURS)
# These are ours for writes, too. Without array_nulls, a NULL in an array of ours would be a text.
_ALWAYS = """SET LOCAL lock_timeout = {wait}; SET LOCAL statement_timeout = {limit};
SET LOCAL idle_in_transaction_session_timeout = {limit}; SET LOCAL jit = off; SET LOCAL array_nulls = on"""
# What the database refuses for one row: a value, a constraint, a trigger, WITH CHECK OPTION.
_REFUSALS = ("22", "23", "P0", "44")
# What concerns more than one part of a transaction: the connection, the transaction, a rollback, resources, locks, an
# operator, the system, PostgreSQL itself. All else may come from a trigger, which can raise what it likes.
_BEYOND_A_PART = ("08", "25", "40", "53", "55", "57", "58", "XX")
_EXPLAINED = {
    "55P03": "another process held the table or a row for more than {wait:g} s. Run this again, or raise busy_timeout",
    "57014": "{message} (a statement may take as long as time_limit, {limit:g} s). Run this again, or raise time_limit",
    "40P01": "{message}: the server ended ours of two transactions that waited for each other. Run this again",
    "40001": "{message}. Run this again",
    "42501": "{message}. GRANT that right to the role, or set login_user to the tables' owner",
    "25006": "{message}. Log in to the primary server",
}


class Access:
    """An open database. Outside of a transaction, each query is a transaction of its own that only reads."""

    def __init__(self, database: PostgreSQLDatabase, parameters: Mapping[str, str]) -> None:
        self.database = database
        self._always = _ALWAYS.format(
            wait=_milliseconds(database.busy_timeout), limit=_milliseconds(database.time_limit)
        )
        self._is_open = self._is_committing = False  # a transaction
        self._in_part = False  # in a savepoint
        self._has_ours = True  # of the settings
        try:
            self._connection = Connection(parameters)
        except ServerError as error:
            raise StuckJobsError(
                f"{database}: no connection: {error}. Correct the login, or start the server."
            ) from None

    def version(self) -> int:
        """Of the server, such as 130004. Asked without our settings, which an old server does not know."""
        ((version,),) = self._run("SHOW server_version_num")
        return int(version)

    def begin(self, write: bool = True) -> None:
        # One row that another changes is one that is not as it was read. So no transaction needs a stricter level.
        mode = "WRITE" if write else "ONLY"
        self._is_open, self._is_committing, self._has_ours = True, False, True
        try:
            self._run(f"BEGIN ISOLATION LEVEL READ COMMITTED, READ {mode}; {self._always}; {_SET_OURS}")
        except BaseException:
            self.roll_back()
            raise

    def commit(self) -> None:
        self._is_committing = True  # from here on until the server answers, whatever interrupts us
        self._run("COMMIT")
        self._is_open = False
        if self._connection.done != "COMMIT":
            raise StuckJobsError(f"{self.database}: the server rolled a transaction back. Run this again.")

    def roll_back(self) -> bool:
        """False if there is no transaction, or if it is not known whether it has been committed."""
        if not self._is_open:
            return False
        self._is_open = False
        if not self._connection.is_lost:
            self._run("ROLLBACK")  # does nothing if it has been committed
        return not self._is_committing

    def run(self, sql: str, values: Sequence[Any] = (), expected: Result = ()) -> Result:
        """Raises Refused for what concerns one row, and StuckJobsError. expected: see driver.Connection.run."""
        if self._is_open:
            return self._run(sql, values, expected)
        self.begin(write=False)
        try:
            rows = self._run(sql, values, expected)
            self._run("COMMIT")
        except BaseException:
            self.roll_back()
            raise
        self._is_open = False
        return rows

    def use_settings(self, ours: bool) -> None:
        """Until the end of the savepoint or transaction, our settings, as at its beginning, or the application's.

        The latter for what runs code of its own, such as triggers: they find its tables by search_path, for example.
        """
        if self._has_ours is not ours:
            self._run(_SET_OURS if ours else _SET_THEIRS)
            self._has_ours = ours

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """All or nothing, within a transaction that continues. Raises Refused for whatever concerns only this part."""
        self.use_settings(ours=True)
        self._run("SAVEPOINT part")
        self._in_part = True
        try:
            yield
            # Here, not at the commit, so that what is refused is this part. Django's foreign keys are deferred.
            self._run(f"SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; {_SET_OURS}; RELEASE part")
        except BaseException:
            self._in_part = False
            if not self._connection.is_lost:
                self._run("ROLLBACK TO part; RELEASE part")
            raise
        finally:
            self._in_part, self._has_ours = False, True

    def close(self) -> None:
        with contextlib.suppress(ServerError):
            self._connection.close()

    def _run(self, sql: str, values: Sequence[Any] | None = None, expected: Result = ()) -> Result:
        try:
            return self._connection.run(sql, values, expected)
        except ServerError as error:
            if error.state and not error.is_lost:
                self._is_committing = False  # the server says that it has not committed
            if self._is_refusal(error):
                raise Refused(self._explanation(error, "{message}")) from None
            raise StuckJobsError(
                f"{self.database}: {self._explanation(error, 'PostgreSQL reports: {message}')}."
            ) from None
        except Unfit as error:
            raise StuckJobsError(
                f"{self.database}: {error} can't be a text of PostgreSQL's, which is UTF-8 without NUL. Correct that"
                " value."
            ) from None
        except UnicodeDecodeError:
            raise StuckJobsError(
                f"{self.database}: it holds text that is not UTF-8, as the encoding SQL_ASCII allows. Use a database"
                " with the encoding UTF8."
            ) from None

    def _is_refusal(self, error: ServerError) -> bool:
        kind = "" if error.is_lost else error.state[:2]
        return kind in _REFUSALS or bool(self._in_part and kind and kind not in _BEYOND_A_PART)

    def _explanation(self, error: ServerError, otherwise: str) -> str:
        if error.is_lost:
            return f"the connection to the server was lost: {error}. The next run goes on"
        known = _EXPLAINED.get(error.state, otherwise)
        database = self.database
        return known.format(message=str(error), wait=database.busy_timeout, limit=database.time_limit)


def check_server(access: Access, write: bool) -> None:
    """Raises StuckJobsError for a server that is too old, or that can't be written to."""
    if access.version() < OLDEST * 10000:
        raise StuckJobsError(f"{access.database}: the server is older than PostgreSQL {OLDEST}. Upgrade it.")
    ((is_standby, is_read_only),) = access.run(
        "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool"
    )
    if write and is_standby:
        raise StuckJobsError(f"{access.database}: the server is a standby. Log in to the primary server.")
    if write and is_read_only:
        raise StuckJobsError(
            f"{access.database}: default_transaction_read_only is on, so nothing is to be written here now. Run this"
            " again when that is over."
        )


def _milliseconds(seconds: float) -> int:
    return min(max(1, math.ceil(seconds * 1000)), MOST_TIMEOUT)
