# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What on this host, or in the options, would keep its services from being measured. Reads only."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from .._common import systemd
from .._common.texts import printable
from . import plan, redis_probe
from .exporters import EXPORTERS, Exporter
from .projects import Configuration
from .redis_url import Redis


def errors(options: Mapping[str, Any], wanted: Configuration, redis: Redis | None, queues: bytes) -> Iterator[str]:
    """All errors, each a sentence. options: the module's. queues: the exporter's script, without its data."""
    try:
        re.compile(options["rate_limited"])
    except (re.error, RecursionError, OverflowError) as error:
        yield f"monitoring_rate_limited is not a regular expression: {printable(error)}."
    for queue, flag in wanted.campaigns.items():
        if not flag.startswith("/"):
            yield f"monitoring_queues: campaign '{printable(flag)}' of {printable(queue)} is not an absolute path."
    if redis:
        yield from redis_probe.errors(redis, plan.databases({"": wanted}) + queues)
    if wanted.exporters:
        yield from _address_errors(wanted)


def warnings(wanted: Configuration) -> Iterator[str]:
    """What works, but may not be what was meant. For a configuration without errors."""
    address = ipaddress.ip_address(wanted.listen_address) if wanted.exporters else None
    if address and (address.is_unspecified or address.is_global):
        yield (
            f"monitoring_listen_address is {address}, and the exporters have no passwords: let a firewall keep out"
            " everybody but Prometheus, or set an address of a private network."
        )


def _address_errors(wanted: Configuration) -> Iterator[str]:
    try:
        address = str(ipaddress.ip_address(wanted.listen_address))
    except ValueError:
        yield (
            f"monitoring_listen_address '{printable(wanted.listen_address)}' is not an IP address. Set one of this"
            " host's, such as 127.0.0.1."
        )
        return
    for name in wanted.exporters:
        yield from EXPORTERS[name].errors()
        yield from _port_errors(EXPORTERS[name], address)


def _port_errors(exporter: Exporter, address: str) -> Iterator[str]:
    """Tries to listen there, unless the exporter is what does."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, exporter.port))
            trial.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                if not systemd.look([exporter.package])[exporter.package].active:
                    yield (
                        f"{exporter.package}: port {exporter.port} of {address} is in use by something else. Stop that,"
                        " or leave out this exporter in monitoring_exporters."
                    )
            else:
                yield (
                    f"monitoring_listen_address {address} can't be listened on: {printable(error.strerror)}. Set an"
                    " address of this host's, such as 127.0.0.1."
                )
