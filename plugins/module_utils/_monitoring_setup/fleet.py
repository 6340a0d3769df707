# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the alert rules and Prometheus's targets take from the inventory, and the errors in it.

The rules themselves are in the role's templates/rules. They take from here what depends on the inventory, already in
PromQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._celery.options import time_limit
from .._common.options import Option, hidden_characters, with_defaults
from .._common.quantities import parse_duration
from .._common.texts import printable
from .._monitoring.options import ALERTS, MONITORING, QUEUES, TASKS
from .wish import DEFAULT_QUEUE

PORTS = {"node": 9100, "redis": 9121}
_WILDCARDS = ("", "0.0.0.0", "::", "[::]", "*")  # noqa: S104
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")  # in RE2's expressions
_PASSED = 60  # seconds that a task may be over its time limit until Celery has killed it

Host = Mapping[str, Any]  # the variables of a host: those of the role, and which workers and clean-ups it has


class InventoryError(ValueError):
    """The inventory has errors, one in each line."""


def completed(inventory: Mapping[str, Mapping[str, Any]], variables: Host) -> dict[str, Host]:
    """Each host with the variables that it has in the inventory, and these for the others.

    If the inventory says of any host whether it is measured, those of which it says nothing are not.
    """
    if any("monitoring_state" in host for host in inventory.values()):
        variables = {**variables, "monitoring_state": "absent"}
    known = (*variables, "ansible_host")
    return {
        name: {**variables, **{each: host[each] for each in known if each in host}} for name, host in inventory.items()
    }


def fleet(hosts: Mapping[str, Host], project: str = "") -> dict[str, Any]:
    """What the templates need. The first of the hosts says when alerts fire. Raises InventoryError."""
    measured = {name: host for name, host in hosts.items() if host["monitoring_state"] == "present"}
    found = list(_errors(measured))
    if found:
        raise InventoryError("\n".join(found))
    if not measured:
        return {"names": [], "targets": []}
    alerts = with_defaults(ALERTS, next(iter(measured.values()))["monitoring_alerts"])
    workers = _workers(measured)
    queues = _by_name(measured, "monitoring_queues")
    tasks = _by_name(measured, "monitoring_tasks")
    matcher = one_of("instance", measured)
    with_redis = [name for name, host in measured.items() if "redis" in host["monitoring_exporters"]]
    scheduled = [name for name, host in measured.items() if host["job_cleanup_cron_state"] == "present"]
    return {
        "names": list(measured),
        "hosts": matcher,
        "broker": f"{matcher}," if with_redis else "",  # RabbitMQ is measured by itself, on hosts of its own
        # Whose workers and whose queue belong together: those of all hosts, or those of one.
        "broker_of": "" if alerts["shared_broker"] else "instance",
        "queue_of": "queue" if alerts["shared_broker"] else "instance, queue",
        "project_label": {"project": project} if project else {},
        "alerts": {
            **alerts,
            "after": prometheus_duration(alerts["after"]),
            "window": prometheus_duration(alerts["window"]),
            "stuck_seconds": round(parse_duration(alerts["stuck_for"])),
            "cleanup_within": prometheus_duration(alerts["cleanup_within"]),
            "cleanup_seconds": round(parse_duration(alerts["cleanup_within"])),
        },
        "busy_workers": list(_busy_workers(workers, alerts["longest_task"])),
        "queues": [_queue(with_defaults(QUEUES, queue), workers, measured) for queue in queues.values()],
        "tasks": [_task(task) for task in tasks.values()],
        "with_redis": with_redis,
        "with_cleanup": one_of("instance", scheduled) if scheduled else "",
        "targets": [target for name, host in measured.items() for target in _targets(name, host)],
    }


def _errors(hosts: Mapping[str, Host]) -> Iterator[str]:
    for name, host in hosts.items():
        given = {option.name: host.get(f"monitoring_{option.name}") for option in MONITORING}
        hidden = list(hidden_characters(MONITORING, given, f"{name}: monitoring_"))
        if hidden:  # No other error may repeat such a value.
            yield from hidden
            return
    yield from _entry_errors(_entries(hosts, "monitoring_queues"), "monitoring_queues", QUEUES)
    yield from _entry_errors(_entries(hosts, "monitoring_tasks"), "monitoring_tasks", TASKS)
    workers = _workers(hosts)
    for queue in _by_name(hosts, "monitoring_queues").values():
        yield from _queue_errors(queue, workers)
    yield from _address_errors(hosts)
    yield from _schedule_errors(hosts)
    for host in list(hosts.values())[:1]:
        yield from _alert_errors(with_defaults(ALERTS, host["monitoring_alerts"]))


def _entry_errors(entries: Iterable[Mapping[str, Any]], variable: str, options: Iterable[Option]) -> Iterator[str]:
    seen: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        name = entry["name"]
        if name in seen:
            if seen[name] != entry:
                yield f"{variable}: {name} is given twice, with different values. Give it once."
            continue
        seen[name] = entry
        if "{{" in name:
            yield f"{variable}: {name} contains {{{{, which Prometheus would take for a template. Correct the name."
        for option in options:
            if option.type == "duration" and entry.get(option.name) is not None:
                yield from _duration_error(entry[option.name], f"{variable}: {name}: {option.name}")


def _address_errors(hosts: Mapping[str, Host]) -> Iterator[str]:
    asked: dict[str, str] = {}
    for name, host in hosts.items():
        for target in _targets(name, host):
            (address,) = target["targets"]
            other = asked.setdefault(address, name)
            if other != name:
                yield (
                    f"{other} and {name}: Prometheus would ask both at {address}. Set monitoring_listen_address to the"
                    " host's address in a private network, or monitoring_scrape_address to that of a tunnel."
                )


def _schedule_errors(hosts: Mapping[str, Host]) -> Iterator[str]:
    """The default suits a clean-up that runs at least once an hour, each day."""
    if any((host["monitoring_alerts"] or {}).get("cleanup_within") for host in list(hosts.values())[:1]):
        return
    for name, host in hosts.items():
        schedule = host["job_cleanup_cron_schedule"] or {}
        fields = [field for field in ("hour", "day", "month", "weekday") if schedule.get(field, "*") not in ("*", None)]
        if fields and host["job_cleanup_cron_state"] == "present":
            yield (
                f"{name}: job_cleanup_cron_schedule sets {' and '.join(fields)}, so the clean-up may not run each hour,"
                " after which an alert would fire. Set cleanup_within in monitoring_alerts to more than the longest"
                " time between two runs, such as 25h."
            )


def _queue_errors(queue: Mapping[str, Any], workers: Mapping[str, Host]) -> Iterator[str]:
    known = ", ".join(map(printable, workers)) or "none"
    unknown = [name for name in queue.get("workers") or () if name not in workers]
    for name in unknown:
        yield f"monitoring_queues: {queue['name']}: no worker is called {name}. The inventory's workers: {known}."
    if not unknown and not _served_by(queue, workers):
        yield (
            f"monitoring_queues: {queue['name']}: no worker of the inventory consumes it. Correct the name, or set the"
            f" queue's workers to some of: {known}."
        )
    backlog = queue.get("backlog")
    if backlog is not None and int(backlog) < 0:
        yield f"monitoring_queues: {queue['name']}: backlog {backlog} is less than 0. Set the most that may wait."


def _alert_errors(alerts: Mapping[str, Any]) -> Iterator[str]:
    for option in ALERTS:
        if option.type == "duration" and alerts[option.name] is not None:
            yield from _duration_error(alerts[option.name], f"monitoring_alerts: {option.name}")
    if not 0 < float(alerts["failed_share"]) < 1:
        yield (
            f"monitoring_alerts: failed_share {alerts['failed_share']} is no share. Set a number between 0 and 1, such"
            " as 0.2."
        )


def _duration_error(value: Any, where: str) -> Iterator[str]:
    try:
        if parse_duration(value) < 1:
            yield f"{where} {value} is too short. Set at least 1s."
    except ValueError as error:
        yield f"{where}: {error}."


def _entries(hosts: Mapping[str, Host], variable: str) -> Iterator[Mapping[str, Any]]:
    return (entry for host in hosts.values() for entry in host[variable] or ())


def _by_name(hosts: Mapping[str, Host], variable: str) -> dict[str, Mapping[str, Any]]:
    return {entry["name"]: entry for entry in _entries(hosts, variable)}


def _workers(hosts: Mapping[str, Host]) -> dict[str, dict[str, Any]]:
    """The workers of all hosts by name, with what they have in common."""
    return {
        worker["name"]: _merged(host["celery_worker_defaults"] or {}, worker)
        for host in hosts.values()
        for worker in host["celery_worker_instances"] or ()
        if host["celery_worker_state"] == "present"
    }


def _merged(defaults: Mapping[str, Any], worker: Mapping[str, Any]) -> dict[str, Any]:
    settings = {**(defaults.get("settings") or {}), **(worker.get("settings") or {})}
    return {"time_limit": None, **defaults, **worker, "settings": settings}


def _served_by(queue: Mapping[str, Any], workers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The workers of a queue: those that it names, else those that name it, else those that name none at all."""
    naming = [name for name, worker in workers.items() if queue["name"] in (worker.get("queues") or ())]
    others = [name for name, worker in workers.items() if not worker.get("queues")]
    return list(queue.get("workers") or naming or others)


def _busy_workers(workers: Mapping[str, dict[str, Any]], longest: Any) -> Iterator[dict[str, str]]:
    for name, worker in workers.items():
        limit = time_limit(worker)
        if limit:
            longest_here = prometheus_duration(limit + _PASSED)
        elif longest is not None:
            longest_here = prometheus_duration(longest)
        else:
            continue
        yield {"name": name, "is": one_of("service", [name]), "longest": longest_here}


def _queue(
    queue: Mapping[str, Any], workers: Mapping[str, Mapping[str, Any]], hosts: Mapping[str, Host]
) -> dict[str, Any]:
    counting = [
        name
        for name, host in hosts.items()
        if "redis" in host["monitoring_exporters"] and queue["name"] in _counted(name, host)
    ]
    return {
        "name": queue["name"],
        "is": one_of("queue", [queue["name"]]),
        "counted_by": one_of("instance", counting) if counting else "",
        "served_by": one_of("service", _served_by(queue, workers)),
        "backlog": queue["backlog"],
        "campaign": queue["campaign"],
        **{name: prometheus_duration(queue[name]) for name in ("backlog_for", "idle_for", "unserved_for")},
    }


def _counted(name: str, host: Host) -> set[str]:
    """The queues that the exporter of this host counts."""
    workers = _workers({name: host}).values()
    named = {queue for worker in workers for queue in worker.get("queues") or [DEFAULT_QUEUE]}
    return named | {queue["name"] for queue in host["monitoring_queues"] or ()}


def _task(task: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": task["name"],
        "is": one_of("task", [task["name"]]),
        "within": prometheus_duration(task["within"]),
        "seconds": round(parse_duration(task["within"])),
    }


def _targets(name: str, host: Host) -> Iterator[dict[str, Any]]:
    """Entries of Prometheus's file_sd_configs. The instance is the host, for all of its exporters: rules join by it."""
    address = host["monitoring_scrape_address"] or host["monitoring_listen_address"]
    if address in _WILDCARDS:
        address = host.get("ansible_host") or name
    address = f"[{address}]" if ":" in address.strip("[]") and not address.startswith("[") else address
    for exporter in host["monitoring_exporters"]:
        labels = {"job": exporter, "instance": name}
        yield {"targets": [f"{address}:{PORTS[exporter]}"], "labels": labels}


def prometheus_duration(duration: Any) -> str:
    """A duration as Prometheus writes it: 15m, 90s."""
    seconds = max(1, round(parse_duration(duration)))
    unit, length = next((unit, length) for unit, length in _UNITS if seconds % length == 0)
    return f"{seconds // length}{unit}"


def one_of(label: str, values: Iterable[str]) -> str:
    """A matcher of PromQL: the label has one of the values."""
    values = list(values)
    if len(values) == 1:
        return f"{label}={_quoted(values[0])}"
    expression = "|".join(_SPECIAL.sub(r"\\\1", value) for value in values)
    return f"{label}=~{_quoted(expression)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
