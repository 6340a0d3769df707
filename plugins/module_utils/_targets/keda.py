# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of KEDA's, which set a worker's number of replicas by the length of its queues: https://keda.sh.

Which pod goes, nobody can say. So one may take as long to stop as its tasks may take, and none goes before a task that
was taken just before the queue ran dry has had its time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from .._celery.options import Instance, time_limit
from .._common.texts import printable
from .container import Service, broker_url
from .yaml_text import Note, given

API = "keda.sh/v1alpha1"
# The schemes of Celery's URLs, by the kind of KEDA's trigger.
BROKERS = {"redis": ("redis", "rediss"), "rabbitmq": ("amqp", "amqps"), "aws-sqs-queue": ("sqs",)}
# kombu's defaults (kombu.transport.redis): each priority but the first has a list of its own, QUEUE SEP PRIORITY.
PRIORITIES = (0, 3, 6, 9)
SEPARATOR = "\x06\x16"
DEFAULT_QUEUE = "celery"
# Seconds that the autoscaler waits before it takes replicas away, HorizontalPodAutoscaler's own limit above.
SHORTEST_WINDOW, LONGEST_WINDOW = 300, 3600
# Keys of the secret, as KEDA takes a URL of Redis apart.
ADDRESS, USER, PASSWORD = "CELERY_BROKER_ADDRESS", "CELERY_BROKER_USERNAME", "CELERY_BROKER_PASSWORD"


def errors(instance: Instance) -> Iterator[str]:
    """Why KEDA can't count this worker's tasks."""
    url = broker_url(instance)
    scheme = urlsplit(url).scheme
    if not url:
        yield (
            "autoscale needs the broker's URL, to know where the queues are. Set CELERY_BROKER_URL in environment, or"
            " remove autoscale."
        )
    elif kind(instance) is None:
        known = ", ".join(f"{scheme}://" for schemes in BROKERS.values() for scheme in schemes)
        yield (
            f"autoscale: KEDA's trigger for a broker of {printable(scheme, 40)}:// is not known here, only those for"
            f" {known}. Remove autoscale, and write a ScaledObject yourself."
        )
    elif kind(instance) == "aws-sqs-queue" and not _transport(instance).get("region"):
        yield (
            "autoscale: the region of the queues is not known. Set it in settings: broker_transport_options:"
            " {region: …}."
        )
    elif kind(instance) == "rabbitmq" and not instance["environment"].get("CELERY_BROKER_URL"):
        yield "autoscale: KEDA reads RabbitMQ's URL from CELERY_BROKER_URL. Set it in environment."


def kind(instance: Instance) -> str | None:
    """The type of the trigger; None if there is none for this broker."""
    scheme = urlsplit(broker_url(instance)).scheme
    return next((kind for kind, schemes in BROKERS.items() if scheme in schemes), None)


def objects(service: Service, labels: dict[str, str], authentication: str) -> list[dict[str, Any]]:
    """The ScaledObject of a worker. authentication: the name of the TriggerAuthentication."""
    scale, window = service.container["autoscale"], stabilization(service.instance)
    triggers = _triggers(service, authentication)
    behavior = {"scaleDown": {"stabilizationWindowSeconds": window}}
    advanced: dict[str, Any] = {"horizontalPodAutoscalerConfig": {"behavior": behavior}}
    if len(triggers) > 1:
        advanced["scalingModifiers"] = Note(
            "Of several triggers, KEDA would take the largest.",
            {
                "formula": " + ".join(trigger["name"] for trigger in triggers),
                "target": str(scale["tasks"]),
                "metricType": "AverageValue",
            },
        )
    spec = {
        "scaleTargetRef": {"name": service.name},
        "minReplicaCount": scale["min"],
        "maxReplicaCount": scale["max"],
        # KEDA may end a busy pod. A task that was taken just before the queue ran dry ends within this time.
        "cooldownPeriod": Note("As long as a task may take: KEDA does not know which pods are busy.", window),
        "advanced": advanced,
        "triggers": triggers,
    }
    return [
        {"apiVersion": API, "kind": "ScaledObject", "metadata": {"name": service.name, "labels": labels}, "spec": spec}
    ]


def authentication(services: list[Service], name: str, secret: str, labels: dict[str, str]) -> dict[str, Any] | None:
    """How KEDA logs in to the broker; None if it does not have to."""
    specs = [spec for spec in (_login(service, secret) for service in services) if spec]
    if not specs:
        return None
    return {
        "apiVersion": API,
        "kind": "TriggerAuthentication",
        "metadata": {"name": name, "labels": labels},
        "spec": specs[0],
    }


def secret_keys(services: list[Service]) -> dict[str, str]:
    """The keys that only KEDA needs, each with what its value is."""
    keys = {}
    for service in services:
        url = urlsplit(broker_url(service.instance))
        if kind(service.instance) == "redis" and _is_secret(service):
            keys[ADDRESS] = "For KEDA: HOST:PORT of CELERY_BROKER_URL"
        if kind(service.instance) == "redis" and url.username:
            keys[USER] = "For KEDA: the user of CELERY_BROKER_URL"
        if kind(service.instance) == "redis" and url.password:
            keys[PASSWORD] = "For KEDA: the password of CELERY_BROKER_URL"
    return keys


def stabilization(instance: Instance) -> int:
    """Seconds for which an idle replica stays."""
    return min(max(SHORTEST_WINDOW, math.ceil(time_limit(instance) or 0)), LONGEST_WINDOW)


def _login(service: Service, secret: str) -> dict[str, Any] | None:
    broker = kind(service.instance)
    if broker == "aws-sqs-queue":
        return {"podIdentity": {"provider": "aws"}}
    parameters = {"address": ADDRESS, "username": USER, "password": PASSWORD}
    keys = secret_keys([service])
    references = [
        {"parameter": parameter, "name": secret, "key": key} for parameter, key in parameters.items() if key in keys
    ]
    return {"secretTargetRef": references} if references else None


def _is_secret(service: Service) -> bool:
    return "CELERY_BROKER_URL" in service.secrets


def _triggers(service: Service, authentication: str) -> list[dict[str, Any]]:
    tasks = str(service.container["autoscale"]["tasks"])
    queues = service.instance["queues"] or [DEFAULT_QUEUE]
    make = {"redis": _redis, "rabbitmq": _rabbitmq, "aws-sqs-queue": _sqs}[kind(service.instance)]
    login = {"name": authentication} if _login(service, "") else None
    return [
        given(
            {
                "type": kind(service.instance),
                "name": f"q{number}",
                "metadata": metadata,
                "authenticationRef": login,
            }
        )
        for number, metadata in enumerate(make(service, queues, tasks))
    ]


def _redis(service: Service, queues: list[str], tasks: str) -> Iterator[dict[str, Any]]:
    url, transport = urlsplit(broker_url(service.instance)), _transport(service.instance)
    server = given(
        {
            "address": None if _is_secret(service) else f"{url.hostname}:{url.port or 6379}",
            "databaseIndex": url.path.strip("/") or "0",
            "enableTLS": "true" if url.scheme == "rediss" else None,
        }
    )
    separator, prefix = transport.get("sep", SEPARATOR), transport.get("global_keyprefix", "")
    lists = [
        f"{prefix}{queue}{separator}{step}" if step else f"{prefix}{queue}"
        for queue in queues
        for step in transport.get("priority_steps") or PRIORITIES
    ]
    # A hash of the worker's own, which the inventory asks for, has its active tasks.
    if transport.get("unacked_key"):
        lists.append(f"{prefix}{transport['unacked_key']}")
    for name in lists:
        yield {**server, "listName": name, "listLength": tasks}


def _rabbitmq(service: Service, queues: list[str], tasks: str) -> Iterator[dict[str, Any]]:
    for queue in queues:
        yield {"hostFromEnv": "CELERY_BROKER_URL", "queueName": queue, "mode": "QueueLength", "value": tasks}


def _sqs(service: Service, queues: list[str], tasks: str) -> Iterator[dict[str, Any]]:
    transport = _transport(service.instance)
    for queue in queues:
        url = (transport.get("predefined_queues") or {}).get(queue, {}).get("url")
        name = f"{transport.get('queue_name_prefix', '')}{queue}"
        yield {"queueURL": url or name, "awsRegion": transport["region"], "queueLength": tasks}


def _transport(instance: Instance) -> dict[str, Any]:
    return instance["settings"].get("broker_transport_options") or {}
