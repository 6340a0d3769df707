# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play wants to be measured, by the options of the module celery_monitoring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._common.texts import printable
from .projects import Configuration
from .redis_url import Redis, parse

DEFAULT_QUEUE = "celery"  # Celery's, of workers that name none
_OF_KEYS = ("global_keyprefix", "sep")  # Celery's options that change the keys in which Redis has a queue


def redis(options: Mapping[str, Any]) -> Redis | None:
    """The Redis whose queues are counted, if any. Raises ValueError with a sentence."""
    if "redis" not in options["exporters"]:
        return None
    if not options["redis_url"]:
        raise ValueError(
            "monitoring_redis_url is empty, and no worker has CELERY_BROKER_URL in its environment. Set it, or leave"
            " redis out of monitoring_exporters."
        )
    for service in options["services"]:
        transport = (service.get("settings") or {}).get("broker_transport_options")
        names = [name for name in _OF_KEYS if isinstance(transport, Mapping) and transport.get(name)]
        if names:
            raise ValueError(
                f"{printable(service['name'])} sets {' and '.join(names)} in broker_transport_options, and queues with"
                " such keys in Redis can't be counted. Leave redis out of monitoring_exporters."
            )
    return parse(options["redis_url"])


def configuration(options: Mapping[str, Any], server: Redis | None) -> Configuration:
    """All of it."""
    workers = [service for service in options["services"] if service["kind"] == "worker"]
    queues = {queue for worker in workers for queue in worker["queues"] or [DEFAULT_QUEUE]}
    of_workers = {"tasks": [task["name"] for task in options["tasks"]], "rate_limited": options["rate_limited"]}
    return Configuration(
        services=tuple(
            {name: service[name] for name in ("name", "kind", "log_level")} | (of_workers if service in workers else {})
            for service in options["services"]
        ),
        campaigns={queue["name"]: queue["campaign"] for queue in options["queues"] if queue["campaign"]},
        exporters=tuple(options["exporters"]),
        listen_address=options["listen_address"],
        server=server.server if server else "",
        database=server.database if server else 0,
        queues=tuple(sorted(queues | {queue["name"] for queue in options["queues"]})),
    )
