# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What in the options does not fit the database, found before anything is written. Each is a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...actions import ACTIONS, Action
from ...options import NOW, Database, StuckJobsError, Table, nearest
from ..base import Refused
from .access import Access
from .tables import Column, Found, Tables, as_text, comparable

# What a role can do, or become, that has nothing to do with tables. Of a new role of PostgreSQL's own we know nothing.
# RESET ROLE undoes a SET ROLE, so it is the session's user that counts.
_POWERS = """SELECT DISTINCT session_user::text, power
FROM pg_roles r CROSS JOIN LATERAL unnest(ARRAY[
  CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
  CASE WHEN r.rolreplication THEN 'REPLICATION' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
  CASE WHEN r.rolname ~ '^pg_' THEN r.rolname::text END]) AS power
WHERE power IS NOT NULL AND pg_has_role(session_user, r.oid, 'MEMBER')"""
# These only look at the server, or are the owner of the database.
_HARMLESS = {"pg_monitor", "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables", "pg_database_owner"}
_NO_EXAMPLE = object()
_TELL_NO_TIME = ("date", "time without time zone", "time with time zone", "interval", "boolean", "uuid", "bytea")


def check_role(access: Access) -> None:
    """Raises StuckJobsError for a role whose rights the application must not get.

    Before anything of the application's is looked at: a cast to its domain already runs its code. Whoever owns the
    tables, others may add triggers to them.
    """
    roles = access.run(_POWERS)
    powers = {power for _role, power in roles} - _HARMLESS
    if powers:
        has = "SUPERUSER" if "SUPERUSER" in powers else ", ".join(sorted(powers))
        raise StuckJobsError(
            f"{access.database}: the role {roles[0][0]} has {has}, and the application's triggers and checks would run"
            " with these rights. Set login_user to the application's own role without them. If there is none, create"
            " one: CREATE ROLE, GRANT USAGE ON SCHEMA, GRANT SELECT, UPDATE ON its tables."
        )


def wrong(access: Access, tables: Tables, database: Database, found: dict[str, Found]) -> list[str]:
    """What is wrong, and the tables that were found. What depends on names is looked at when they are right."""
    wrong = []
    for table in database.family():
        try:
            here = found[table.table] = tables.find(table.table)
        except StuckJobsError as error:
            wrong.append(str(error))
        else:
            wrong += list(_wrong_table(access, here)) or _wrong_columns(tables, here, table, database)
    if wrong:
        return wrong
    for table in database.family():
        here = found[table.table]
        wrong += _missing_rights(access, tables, here, table, database)
        wrong += _wrong_values(access, tables.columns(here), table, database)
    return [*wrong, *_wrong_keys(tables, found, database)]


def _wrong_table(access: Access, found: Found) -> Iterator[str]:
    if found.kind not in "rp":
        kind = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}[found.kind]
        yield f"{found.name} is {kind}. Set the table behind it."
    if found.has_rules and found.kind in "rp":
        yield f"{found.name} has rules, which replace what is written. Use triggers instead."
    if found.is_inherited:
        yield f"{found.name} has tables that inherit from it. Set the one with the jobs."
    if not found.is_reachable:
        yield f"the role has no right to the schema {found.schema}. GRANT USAGE on it."
    elif access.run("SELECT row_security_active(%s::oid)", [found.oid]) == [(True,)]:
        yield f"{found.name} has row-level security that hides rows from this role. Log in as its owner, {found.owner}."


def _wrong_columns(tables: Tables, found: Found, table: Table, database: Database) -> Iterator[str]:
    columns, unique = tables.columns(found), tables.unique(found)
    written = {name for _option, name, _value in _written(table, database)}
    for option, name, is_written in table.columns:
        column = columns.get(name)
        if not column:
            yield f"{option}: table {table.table} has no column {name!r}. {nearest(name, columns)}"
        elif column.is_generated and is_written:
            yield f"{option}: {table.table}.{name} is a generated column. Set one that can be written."
        elif option == "id_column" and name in written:
            yield f"id_column: {table.table}.{name} would be changed itself. Set columns that stay as they are."
        elif option in ("time_column", "fallback_time_column") and column.type in _TELL_NO_TIME:
            yield f"{option}: {table.table}.{name} is of type {column.declared}, no point in time. Set another."
        if column and option in ("id_column", "task_id_column"):
            yield from _wrong_id(f"{option}: {table.table}.{name}", option, column)
    if all(name in columns for name in table.id_column) and set(table.id_column) not in unique:
        there_are = "; ".join(" and ".join(sorted(names)) for names in unique) or "none"
        yield f"id_column: {table.table}.{', '.join(table.id_column)} is not unique. Set one of: {there_are}."


def _wrong_id(subject: str, option: str, column: Column) -> Iterator[str]:
    if column.type == "bytea":
        yield f"{subject} is of type bytea, but ids are compared as text. Set a column of another type."
    elif option == "id_column" and not column.is_of_pg_catalog:
        # The pages of rows are in the type's own order, and `>` would be that of another type.
        yield (
            f"{subject} is of type {column.declared}, which an extension or the application defines, in an order of"
            " its own. Set one whose type is PostgreSQL's."
        )


def _written(table: Table, database: Database) -> Iterator[tuple[str, str, Any]]:
    """What a run may write to a table: the options, the columns and the values, of which some are examples."""
    for action in _actions(database):
        if action.removes or not table.status_column:
            continue
        status, others = table.outcomes[action.name]
        yield action.to_option, table.status_column, status
        yield from ((f"{action.set_option}: {column}", column, value) for column, value in others.items())
        examples = {"error_column": "[]" if table.error_mode == "json" else table.error_message, "attempts_column": 1}
        for option, column in table.filled_by(action).items():
            yield option, column, examples.get(option, _NO_EXAMPLE)


def _actions(database: Database) -> list[Action]:
    """The action, and what it ends in."""
    last = database.action.in_the_end if database.max_attempts else ""
    return [database.action, *([ACTIONS[last]] if last else [])]


def _wrong_values(access: Access, columns: Mapping[str, Column], table: Table, database: Database) -> Iterator[str]:
    """Values that no row can have. Only the table's constraints are left to the server."""
    for status in table.stuck_statuses if table.status_column else ():
        yield from _misfit(access, "stuck_statuses", columns[table.status_column], status, is_stored=False)
    for name, values in database.conditions.items() if table is database else ():
        for value in values:
            if value is not None:
                yield from _misfit(access, f"only: {name}", columns[name], value, is_stored=False)
    for option, name, value in _written(table, database):
        if value == NOW and table is database and columns[name].type != columns[database.time_column].type:
            like = f"{database.time_column}, {columns[database.time_column].declared}"
            yield f"{option}: {NOW} is written like {like}, but {name} is {columns[name].declared}. Set a time there."
        elif value not in (NOW, _NO_EXAMPLE):
            yield from _misfit(access, option, columns[name], value, is_stored=True)


def _misfit(access: Access, option: str, column: Column, value: Any, is_stored: bool) -> Iterator[str]:
    text = as_text(value)
    if text is None and column.is_not_null:
        yield f"{option}: {column.name} is NOT NULL. Set a value."
    elif text is not None and column.labels and text not in column.labels:
        yield f"{option}: {column.type} has no label {text!r}. {nearest(text, column.labels)}"
    elif text is not None and is_stored and column.longest and len(text) > column.longest:
        yield f"{option}: {text!r} is too long for {column.name}, {column.declared}. Set a shorter one."
    else:
        access.begin(write=False)
        access.use_settings(ours=False)  # a domain may have a function
        try:
            access.run(f"SELECT %s::text::{column.declared_in_sql if is_stored else column.in_sql} IS NULL", [text])
        except Refused as error:
            yield f"{option}: {text!r} does not fit {column.name}, {column.declared}: {error}. Set another value."
        finally:
            access.roll_back()


def _wrong_keys(tables: Tables, found: Mapping[str, Found], parent: Table) -> Iterator[str]:
    for child in parent.children:
        columns, keys = tables.columns(found[child.table]), tables.columns(found[parent.table])
        for own, key in zip(child.foreign_key, parent.id_column):
            if not comparable(columns[own], keys[key]):
                types = f"{columns[own].declared}, but {parent.table}.{key} is {keys[key].declared}"
                yield f"foreign_key: {child.table}.{own} is {types}. Set the column that refers to it."
        yield from _wrong_keys(tables, found, child)


def _missing_rights(access: Access, tables: Tables, found: Found, table: Table, database: Database) -> Iterator[str]:
    columns = tables.columns(found)
    written = {name for _option, name, _value in _written(table, database)}
    removes = database.action.removes
    read = columns if removes else dict.fromkeys(name for _option, name, _is_written in table.columns)
    missing = [f"SELECT ({name})" for name in read if not columns[name].may_be_read]
    missing += [f"UPDATE ({name})" for name in sorted(written) if not columns[name].may_be_written]
    if removes:
        if not any(column.may_be_written for column in columns.values()):
            missing.append("UPDATE")  # to lock the row
        if access.run("SELECT has_table_privilege(%s::oid, 'DELETE')", [found.oid]) == [(False,)]:
            missing.append("DELETE")
        for referrer, _own, _to in tables.referrers(found):
            if access.run("SELECT has_table_privilege(%s::oid, 'SELECT')", [referrer.oid]) == [(False,)]:
                yield f"the role has no right SELECT on {referrer.name}, which refers to {found.name}. GRANT it."
    if missing:
        yield (
            f"the role has no right {', '.join(missing)} on {found.name}. GRANT it, or log in as its owner,"
            f" {found.owner}."
        )
