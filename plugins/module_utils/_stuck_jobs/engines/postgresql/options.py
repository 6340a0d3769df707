# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a database of PostgreSQL is, and how to log in. Each option is described here, and nowhere else by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ...._common.options import Option
from ...options import Database, path_errors

SSL_MODES = ("", "disable", "allow", "prefer", "require", "verify-ca", "verify-full")
PORTS = range(65536)

# The names are those of community.postgresql.
LOGIN = (
    Option(
        "system_user",
        "str",
        (
            "The application's system user. As this user the work is done, the records are kept and the application is"
            " imported.",
            "It can't be C(root).",
        ),
        required=True,
    ),
    Option("login_db", "str", "The name of the database, unless O(service) or O(environment_file) says it.", ""),
    Option("login_host", "str", "The server's host. Empty for a Unix socket.", ""),
    Option("login_unix_socket", "path", "The directory of the Unix socket. Empty for libpq's default.", ""),
    Option("login_port", "int", "The server's port. V(0) for libpq's default, V(5432).", 0),
    Option(
        "login_user",
        "str",
        (
            "The role to log in as. By default the one named like O(system_user), which needs no password on a Unix"
            " socket.",
            "It should be the role of the application. A superuser is refused, whoever owns the tables, as triggers and"
            " checks of the application's would run with its rights.",
        ),
        "",
    ),
    Option("ssl_mode", "str", "How the connection is encrypted. Empty for libpq's default.", "", choices=SSL_MODES),
    Option(
        "ca_cert",
        "path",
        (
            "A file with the certificates that the server's has to be signed by.",
            "It needs O(ssl_mode=verify-full) or O(ssl_mode=verify-ca).",
        ),
        "",
    ),
    Option(
        "passfile",
        "path",
        "A password file of libpq, such as C(~/.pgpass) is. O(system_user) can read it, and nobody else.",
        "",
        no_log=False,
    ),
    Option(
        "service",
        "str",
        "A service of libpq, from C(.pg_service.conf) in the home of O(system_user) or from C(pg_service.conf).",
        "",
    ),
    Option(
        "environment_file",
        "path",
        (
            "The application's file with environment variables, of which O(url_variable) or O(password_variable) says"
            " how to log in.",
            "O(system_user) can read it, or it is root's in directories of root's.",
        ),
        "",
    ),
    Option(
        "url_variable",
        "str",
        "The variable with the database's URL, if O(environment_file) is set. Empty if there is none.",
        "DATABASE_URL",
    ),
    Option(
        "password_variable",
        "str",
        "The variable with the password, if O(environment_file) is set. Empty if there is none.",
        "",
        no_log=False,
    ),
)
PASSWORD = Option("login_password", "str", "The password of the role.", "", no_log=True)


@dataclass(frozen=True)
class PostgreSQLDatabase(Database):
    """A database of a server. Options that are set go before what a service or an environment file says."""

    system_user: str = ""
    login_db: str = ""
    login_host: str = ""
    login_unix_socket: str = ""
    login_port: int = 0
    login_user: str = ""
    login_password: str = field(default="", repr=False)
    ssl_mode: str = ""
    ca_cert: str = ""
    passfile: str = ""
    service: str = ""
    environment_file: str = ""
    url_variable: str = "DATABASE_URL"
    password_variable: str = ""

    told_by = ("login_db", "service", "environment_file")
    required = ("system_user",)
    login_options = tuple(option.name for option in LOGIN)

    @property
    def where(self) -> str:
        # Each user has a file of services, and two may have one of the same name.
        service = f"service {self.service} of {self.system_user}" if self.service else ""
        if service and not self.login_db:
            return service
        if self.environment_file and not self.login_db:
            return f"{self.url_variable} in {self.environment_file}"
        host = self.login_host or self.login_unix_socket or service or self.environment_file
        port = f":{self.login_port}" if self.login_port else ""
        return f"{self.login_db} at {host or 'the local socket'}{port}"

    def login_errors(self) -> Iterator[str]:
        yield from path_errors(self, "login_unix_socket", "ca_cert", "passfile", "environment_file")
        if self.system_user == "root":
            yield "system_user is root. Set the system user of the application."
        if not any(getattr(self, option) for option in self.told_by):
            yield f"one of {', '.join(self.told_by)} is required. Set one, such as the database's name in login_db."
        if self.login_host and self.login_unix_socket:
            yield "login_host and login_unix_socket are both set. Remove one of them."
        if self.login_port not in PORTS:
            yield f"login_port {self.login_port!r} is not a port. Set a number from 1 to 65535."
        if self.ssl_mode not in SSL_MODES:
            yield f"ssl_mode {self.ssl_mode!r} is not one of {', '.join(filter(None, SSL_MODES))}."
        elif self.ca_cert and not self.ssl_mode.startswith("verify-"):
            yield (
                f"ca_cert is set, but ssl_mode is {self.ssl_mode!r}, which need not look at it. Set ssl_mode to"
                " verify-full, or to verify-ca if the certificate has another name than the host."
            )
        if self.password_variable and not self.environment_file:
            yield "password_variable needs environment_file. Set it to the file with that variable."
        if self.environment_file and not (self.url_variable or self.password_variable):
            yield "environment_file needs url_variable or password_variable. Set the one that the application reads."
        elif self.environment_file and not (self.url_variable or self.login_db or self.service):
            yield "environment_file without url_variable has only a password. Set login_db, service or url_variable."
