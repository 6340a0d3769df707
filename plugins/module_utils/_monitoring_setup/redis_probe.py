# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a Redis, before anything is changed, whether the exporter will be able to count its queues."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

from .._common.texts import printable
from .redis_url import Redis

SECONDS = 10  # for each of its answers
_LONGEST = 500  # bytes of the first line of an answer


def errors(redis: Redis, script: bytes) -> list[str]:
    """Why the exporter could not run its script there: at most one sentence."""
    login = [redis.user.encode(), redis.password.encode()] if redis.user else [redis.password.encode()]
    commands = [(b"AUTH", *login)] if redis.password else []
    try:
        with _connect(redis) as connection:
            for command in (*commands, (b"EVAL", script, b"0")):
                connection.sendall(_encoded(command))
                answer = _line(connection)
                if answer.startswith("-"):
                    why = printable(answer[1:].rstrip("."))
                    return [
                        f"Redis at {redis.server} does not let the exporter count its queues: {why}."
                        " Correct monitoring_redis_url, or the user's rights."
                    ]
    except (OSError, ValueError) as error:
        return [
            f"Redis at {redis.server} does not answer: {printable(error)}. Start it, or correct monitoring_redis_url."
        ]
    return []


def _connect(redis: Redis) -> socket.socket:
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection((redis.host, redis.port), SECONDS))
        if redis.tls:
            context = ssl.create_default_context(cafile=redis.options.get("ssl_ca_certs"))
            if not redis.verifies:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if redis.options.get("ssl_certfile"):
                context.load_cert_chain(redis.options["ssl_certfile"], redis.options.get("ssl_keyfile"))
            connection = stack.enter_context(context.wrap_socket(connection, server_hostname=redis.host))
        stack.pop_all()
        return connection


def _encoded(words: tuple[bytes, ...]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _line(connection: socket.socket) -> str:
    """The first line of an answer, which tells errors apart. The connection is not used after an answer of several."""
    line, until = b"", time.monotonic() + SECONDS
    while not line.endswith(b"\r\n") and len(line) < _LONGEST:
        connection.settimeout(max(0.001, until - time.monotonic()))
        byte = connection.recv(1)
        if not byte:
            raise ValueError("it has closed the connection")
        line += byte
    return line.decode(errors="replace").strip()
