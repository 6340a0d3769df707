# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service is in a container, the same on every platform: command line, environment, probe, writable paths.

Pure: turns a service into plain data. Nothing here, and nothing that uses it, contains the value of a variable that is
not named as plain.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._celery.command import hand_back, module, state_directory, stop_timeout
from .._celery.options import Instance
from .._common.quantities import parse_duration

FOLDER = "evenkeel"  # of our programs, among the exported files
PROGRAMS = f"/{FOLDER}"  # where they are in a container
HEARTBEAT = "/tmp/evenkeel.heartbeat"  # noqa: S108 -- in the container's own /tmp
RESERVED = ("EVENKEEL_HEARTBEAT",)  # variables that a service can't have of its own, as the probe relies on them
# Where a container may write anyway.
TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108
PROBE_INTERVAL = 15  # seconds between two looks at the heartbeat
# Seconds that a service gets to end after its heartbeat has stopped: it can't finish its tasks any more.
ABORT_TIMEOUT = 10


@dataclass(frozen=True)
class Service:
    """A worker or a beat, and what a server has no word for.

    instance: its options, with the executable and the directory that it has in the image.
    container: the options of _export/options.py, complete.
    plain: its variables whose values may stand in files.
    secrets: its other variables, each with its key in the platform's secret.
    """

    instance: Instance
    container: Mapping[str, Any]
    plain: Mapping[str, str]
    secrets: Mapping[str, str]

    @property
    def name(self) -> str:
        return dns_name(self.instance["name"])

    @property
    def kind(self) -> str:
        return self.instance["kind"]

    @property
    def programs(self) -> list[str]:
        """The files of ours that it loads."""
        return [f"{module(self.instance)}.py", "evenkeel_heartbeat.py"]

    @property
    def stop(self) -> int:
        """Seconds that it gets to stop."""
        return max(1, math.ceil(stop_timeout(self.instance)))

    @property
    def start(self) -> int:
        return seconds(self.instance["start_timeout"])

    def sandbox(self, directive: str) -> bool:
        """Whether this part of the sandbox is on."""
        return self.instance["sandbox"].get(directive, False) not in (False, None)


def dns_name(name: str) -> str:
    """The name in lower-case letters, digits and "-"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def seconds(duration: Any) -> int:
    return math.ceil(parse_duration(duration))


def variables(service: Service, programs: str = PROGRAMS) -> dict[str, str]:
    """The variables whose values are in the files: the plain ones, and what the unit sets on a server.

    As on a server, the service's own variables come first; to its PYTHONPATH, our directory is added.
    programs: where our programs are in the container.
    """
    own = _own_variables(service, programs)
    others = {name: value for name, value in own.items() if name not in service.secrets}
    return {**others, **service.plain, "PYTHONPATH": own["PYTHONPATH"]}


def _own_variables(service: Service, programs: str) -> dict[str, str]:
    instance, path = service.instance, service.plain.get("PYTHONPATH")
    watchdog = parse_duration(instance["watchdog"])
    own = {
        "EVENKEEL_HAND_BACK": hand_back(instance) if service.kind == "worker" else None,
        "EVENKEEL_HEARTBEAT": HEARTBEAT,
        "EVENKEEL_LOCK": "1" if instance.get("lock") else None,
        "PYTHONFAULTHANDLER": "1",
        "PYTHONPATH": f"{path}:{programs}" if path else programs,
        "PYTHONUNBUFFERED": "1",
        "WATCHDOG_USEC": f"{watchdog * 1e6:.0f}" if watchdog else None,
    }
    return {name: value for name, value in own.items() if value}


def probe(service: Service) -> list[str] | None:
    """Succeeds if the heartbeat is younger than the watchdog's limit: a shell and two dates, for 2 ms of CPU.

    None: the service has no watchdog.
    """
    limit = seconds(service.instance["watchdog"])
    age = f"$(($(date +%s) - $(date -r {HEARTBEAT} +%s)))"
    return ["sh", "-c", f"test {age} -le {limit + PROBE_INTERVAL}"] if limit else None


def writable_paths(service: Service) -> list[str]:
    """Besides TEMPORARY. A beat keeps its schedule in the same place as on a server."""
    return [*own_paths(service.instance), *([schedule_directory(service.instance)] if service.kind == "beat" else [])]


def own_paths(instance: Instance) -> list[str]:
    """The option writable_paths, without what any container may write to."""
    return [path for path in instance["writable_paths"] if path.rstrip("/") not in TEMPORARY]


def schedule_directory(instance: Instance) -> str:
    return f"/var/lib/{state_directory(instance)}"


def broker_url(instance: Instance) -> str:
    """Empty if only the application knows it."""
    return str(instance["environment"].get("CELERY_BROKER_URL") or instance["settings"].get("broker_url") or "")


def description(service: Service) -> str:
    """One line for a comment."""
    return " ".join((service.instance["description"] or f"Celery {service.kind} {service.instance['name']}").split())


def all_or(names: Iterable[str], services: Iterable[Service]) -> str:
    """The names of some services, for a message: briefly, if it is all of them or all of a kind."""
    names, kinds = list(names), [(service.name, service.kind) for service in services]
    for group, found in (
        ("all services", [name for name, _kind in kinds]),
        ("all workers", [name for name, kind in kinds if kind == "worker"]),
    ):
        if len(found) > 1 and set(names) == set(found):
            return group
    return ", ".join(names)


def secret_keys(services: Iterable[Service]) -> dict[str, list[str]]:
    """The keys of the secret, each with the names of the services that need it."""
    keys: dict[str, list[str]] = {}
    for service in services:
        for key in service.secrets.values():
            keys.setdefault(key, []).append(service.name)
    return dict(sorted(keys.items()))
