# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes entries with fields of their own to systemd's journal, in its native protocol."""

from __future__ import annotations

import contextlib
import socket
import struct

_SOCKET = "/run/systemd/journal/socket"
MOST = 2**17  # bytes of a field: an entry is one datagram


def send(message: str, **fields: object) -> None:
    """Writes an entry. Where there is no journal, as in many containers, nothing happens.

    fields: journald adds those that say who has written it, systemd.journal-fields(7).
    """
    entry = b"".join(_field(name, str(value)) for name, value in {"MESSAGE": message, **fields}.items())
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)  # a journal that hangs
        sock.sendto(entry, _SOCKET)


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="replace")[:MOST]
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
