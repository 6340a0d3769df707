# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to log in: libpq's parameters from the options, and from a URL in the application's environment file.

No variable of whoever started us has a say: the process that works as system_user has an environment of its own, so
libpq finds no PGPASSWORD or PGHOST there, and looks for .pgpass and .pg_service.conf in that user's home.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from ...environment import variables
from ...options import StuckJobsError
from .options import SSL_MODES, PostgreSQLDatabase

LEAST_TIMEOUT = 2  # seconds; libpq takes less for this, and 0 for no limit
# As Django, django-environ, SQLAlchemy and libpq write it. A password may contain unescaped characters, even those
# that end it elsewhere, so these are allowed only in a URL that has no other meaning.
_PAIRS = "[^=&]*=[^&]*(?:&[^=&]*=[^&]*)*"
_URLS = [
    re.compile(
        r"(?:postgres|postgresql|psql|pgsql|postgis)(?:\+\w+)?://"
        rf"(?:(?P<user>[^:@/?]*)(?::(?P<password>{password}))?@)?"
        rf"(?P<hosts>[^/?@]*)(?:/(?P<dbname>[^?@]*))?(?:\?(?P<query>{query}))?"
    )
    for password, query in (("[^/?#]*", _PAIRS), ("[^?]*", _PAIRS), (".*", ".*"))
]
_HOST = re.compile(r"(?:\[(?P<address>[^]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>\d+))?")
# Of a URL's parameters, those of libpq that say where to log in and how. Others are the application's.
_KNOWN = (
    *("host", "hostaddr", "port", "user", "password", "dbname", "service", "passfile", "options"),
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation", "channel_binding"),
    *("gssencmode", "krbsrvname", "require_auth", "target_session_attrs", "load_balance_hosts"),
)


def parameters(database: PostgreSQLDatabase, texts: Mapping[str, bytes]) -> dict[str, str]:
    """libpq's parameters. Options go before what the environment file says. Raises StuckJobsError."""
    _check_passfile(database)
    found = _of_environment_file(database, texts) if database.environment_file else {}
    options = {
        "dbname": database.login_db,
        "host": database.login_host or database.login_unix_socket,
        "port": str(database.login_port or ""),
        "user": database.login_user,
        "password": database.login_password,
        "sslmode": database.ssl_mode,
        "sslrootcert": database.ca_cert,
        "passfile": database.passfile,
        "service": database.service,
    }
    found.update((name, value) for name, value in options.items() if value)
    if not found.get("service"):  # which has its own
        found.setdefault("user", database.system_user)
    timeout = str(max(LEAST_TIMEOUT, math.ceil(database.busy_timeout)))
    return {**found, "connect_timeout": timeout, "client_encoding": "UTF8", "application_name": "evenkeel job_cleanup"}


def _of_environment_file(database: PostgreSQLDatabase, texts: Mapping[str, bytes]) -> dict[str, str]:
    path = database.environment_file
    try:
        there = variables(path, texts.get(path))
    except StuckJobsError as error:
        raise StuckJobsError(f"{database}: {error}") from None
    found = {}
    if there.get(database.url_variable):
        found = _of_url(database, there[database.url_variable])
    elif database.url_variable and not (database.login_db or database.service):
        raise StuckJobsError(
            f"{database}: {path} has no variable {database.url_variable}. Set url_variable to that with the database's"
            " URL, or login_db."
        )
    if database.password_variable:
        if database.password_variable not in there:
            raise StuckJobsError(
                f"{database}: {path} has no variable {database.password_variable}. Set password_variable to that with"
                " the password."
            )
        found["password"] = there[database.password_variable]
    return found


def _of_url(database: PostgreSQLDatabase, url: str) -> dict[str, str]:
    """No error shows a part of the URL: it has the password."""
    for pattern in _URLS:
        parts = pattern.fullmatch(url)
        hosts = [_HOST.fullmatch(host) for host in parts["hosts"].split(",")] if parts else [None]
        if parts and None not in hosts:
            break
    else:
        raise StuckJobsError(
            f"{database}: {database.url_variable} in {database.environment_file} is not a URL of PostgreSQL. Write"
            " postgresql://user:password@host:port/database, with special characters of the password as %XX."
        )
    found = {name: unquote(parts[name] or "") for name in ("user", "password", "dbname")}
    found["host"] = ",".join(unquote(host["address"] or host["name"] or "") for host in hosts)
    found["port"] = ",".join(host["port"] or "" for host in hosts)
    pairs = [pair.partition("=") for pair in (parts["query"] or "").split("&")]
    query = {unquote(name): unquote(value) for name, _equals, value in pairs if value}  # libpq takes a + for a +
    if "ssl" in query and not (database.ssl_mode or "sslmode" in query):
        query["sslmode"] = _ssl_mode(database, query["ssl"])
    found.update((name, value) for name, value in query.items() if name in _KNOWN)
    return {name: value for name, value in found.items() if value.strip(",")}


def _ssl_mode(database: PostgreSQLDatabase, ssl: str) -> str:
    """libpq's sslmode for the parameter ssl of other drivers. libpq, too, takes true for require."""
    mode = "require" if ssl.lower() == "true" else ssl
    if mode in SSL_MODES:
        return mode
    raise StuckJobsError(
        f"{database}: {database.url_variable} in {database.environment_file} has a parameter ssl that is neither true"
        f" nor one of {', '.join(filter(None, SSL_MODES))}. Set ssl_mode."
    )


def _check_passfile(database: PostgreSQLDatabase) -> None:
    """libpq ignores a password file that it does not like, and says so only on its standard error."""
    if not database.passfile:
        return
    try:
        mode = Path(database.passfile).stat().st_mode
        problem = "" if os.access(database.passfile, os.R_OK) else "can't be read by this user"
        if not stat.S_ISREG(mode):
            problem = "is not a regular file"
        elif mode & 0o077:
            problem = f"has the mode {stat.S_IMODE(mode):04o}, which lets others read it, so libpq ignores it"
    except OSError as error:
        problem = f"can't be read: {error.strerror}"
    if problem:
        raise StuckJobsError(
            f"{database}: passfile {database.passfile} {problem}. Give {database.system_user} one with the mode 0600."
        )
