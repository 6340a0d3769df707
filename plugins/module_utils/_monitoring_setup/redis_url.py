# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Redis whose queues are counted: its URL in Celery's grammar, and the exporter's settings for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from .._common.texts import printable

_PORT = 6379
_LOCAL = ("localhost", "::1")  # the same server as 127.0.0.1
# The options of Celery's URL that the exporter knows too.
_FILES = {
    "ssl_ca_certs": "REDIS_EXPORTER_TLS_CA_CERT_FILE",
    "ssl_certfile": "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE",
    "ssl_keyfile": "REDIS_EXPORTER_TLS_CLIENT_KEY_FILE",
}


@dataclass(frozen=True)
class Redis:
    """A server, a database in it, and how to log in."""

    host: str
    port: int = _PORT
    database: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def server(self) -> str:
        """Without anything that is secret."""
        host = "127.0.0.1" if self.host in _LOCAL else self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """The exporter's settings.

        The password is in the address, and not in REDIS_PASSWORD: that one it sends to any server that somebody asks it
        to scrape.
        """
        login = ":".join(quote(part, safe="") for part in (self.user, self.password))
        address = f"{'rediss' if self.tls else 'redis'}://{login}@{self.server}" if self.password else ""
        settings = {"REDIS_ADDR": address or f"{'rediss' if self.tls else 'redis'}://{self.server}"}
        settings |= {variable: self.options[name] for name, variable in _FILES.items() if self.options.get(name)}
        if self.tls and not self.verifies:
            settings["REDIS_EXPORTER_SKIP_TLS_VERIFICATION"] = "true"
        return settings

    @property
    def verifies(self) -> bool:
        """Whether the server's certificate is checked, as redis-py does unless it is told not to."""
        return self.options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_") != "none"


def parse(url: str) -> Redis:
    """Of several servers that take over from each other, the first. Raises ValueError with a sentence."""
    first = url.split(";", 1)[0].strip()
    try:
        parts = urlsplit(first)
        host, port = parts.hostname or "127.0.0.1", parts.port or _PORT
    except ValueError:  # which may name a part of the password
        raise ValueError(
            "monitoring_redis_url is not a URL of Redis. Write it as redis://:PASSWORD@HOST:PORT/DATABASE, and special"
            " characters of the password encoded: / as %2F, @ as %40, : as %3A, # as %23, ? as %3F."
        ) from None
    if parts.scheme not in ("redis", "rediss"):
        raise ValueError(
            f"monitoring_redis_url begins with {_shown(parts.scheme, url)}, and the exporter knows redis:// and"
            " rediss://. Set it to the server as one of these, or leave redis out of monitoring_exporters."
        )
    database = parts.path.strip("/") or "0"
    if not re.fullmatch("[0-9]{1,9}", database):
        raise ValueError(
            f"monitoring_redis_url: the database is {_shown(database, url)}, not a number. If that is a part of the"
            " password, write its special characters encoded, such as / as %2F."
        )
    return Redis(
        host=host,
        port=port,
        database=int(database),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "rediss",
        options=dict(parse_qsl(parts.query)),
    )


def _shown(part: str, url: str) -> str:
    """A part of the URL, unless there may be a password in it: one that is not encoded may be anywhere."""
    return f"'{printable(part, 40)}'" if "@" not in url else "something else"
