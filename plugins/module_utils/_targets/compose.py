# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services in the words of compose: https://compose-spec.io, as docker-compose 1.29 (Debian 12) reads it, too.

So there is no ``name:`` at the top, and no ``depends_on`` with conditions: a service waits for its broker itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .._celery.command import command
from .._common.quantities import parse_size
from .container import (
    FOLDER,
    PROBE_INTERVAL,
    PROGRAMS,
    TEMPORARY,
    Service,
    all_or,
    broker_url,
    description,
    dns_name,
    own_paths,
    probe,
    secret_keys,
    variables,
    writable_paths,
)
from .keda import BROKERS
from .yaml_text import Anchor, Merge, Note, given

FILE = "compose.yaml"
VARIABLES = ".env.example"
_SET_IT = "set it in .env"
# compose knows fewer kinds of exits than systemd.
RESTART = {
    "no": "no",
    "always": "always",
    "on-success": "always",
    **dict.fromkeys(("on-failure", "on-abnormal", "on-watchdog", "on-abort"), "on-failure"),
}


def files(services: list[Service], options: Mapping[str, Any]) -> dict[str, Any]:
    """The documents by their files' names; a text is written as it is."""
    return {
        FILE: [document(services, options["build"], options["broker"])],
        VARIABLES: variables_file(services, options["broker"]),
    }


def document(services: list[Service], build: str = "", broker: str = "") -> dict[str, Any]:
    """The whole compose file. What all services have in common is written once, in x-environment and x-celery."""
    each = {service.name: _service(service, build) for service in services}
    environment = _common([service["environment"] for service in each.values()])
    for service in each.values():
        service["environment"] = _own(service["environment"], environment, "environment")
    common = _common(list(each.values()))
    own = {
        service.name: Note(description(service), _own(each[service.name], common, "celery"), apart=bool(number))
        for number, service in enumerate(services)
    }
    volumes = dict.fromkeys(name for service in services for name in _volumes(service))
    return given(
        {
            "x-environment": Note("What all services have in common.", Anchor("environment", environment))
            if environment
            else None,
            "x-celery": Note("", Anchor("celery", common), apart=True) if common else None,
            "services": Note("", {**own, **(_broker(broker) if broker else {})}, apart=True),
            "volumes": Note("", {name: {} for name in volumes}, apart=True) if volumes else None,
        }
    )


def _common(services: list[dict[str, Any]]) -> dict[str, Any]:
    first, *others = services
    if not others:
        return {}
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}


def _own(mapping: dict[str, Any], common: Mapping[str, Any], anchor: str) -> dict[str, Any]:
    """The mapping with a reference to what it has in common with others."""
    merge = {"<<": Merge(anchor)} if common else {}
    return {**merge, **{key: value for key, value in mapping.items() if key not in common}}


def _service(service: Service, build: str) -> dict[str, Any]:
    instance, container = service.instance, service.container
    revision = instance["revision"]
    return given(
        {
            "image": container["image"],
            "build": build or None,
            "command": [_literal(word) for word in command(instance)],
            "working_dir": _literal(instance["directory"]),
            "user": f"{container['uid']}:{container['gid']}",
            # Reaps what tasks leave behind, and passes SIGTERM on to the main process alone.
            "init": True,
            "environment": _variables(service),
            "labels": {"evenkeel.celery.revision": _literal(revision)} if revision else None,
            "stop_grace_period": f"{service.stop}s",
            "restart": RESTART[instance["restart"]],
            "scale": container["replicas"] if container["replicas"] != 1 else None,
            **_limits(service),
            "read_only": service.sandbox("ProtectSystem") or None,
            "cap_drop": ["ALL"] if service.sandbox("CapabilityBoundingSet") else None,
            "security_opt": ["no-new-privileges:true"] if service.sandbox("NoNewPrivileges") else None,
            "tmpfs": [*(f"{path}:mode=1777" for path in TEMPORARY), *_scratch(service)],
            "volumes": [
                f"./{FOLDER}:{PROGRAMS}:ro",
                *(f"{name}:{path}" for name, path in _volumes(service).items()),
            ],
            "logging": _logging(service),
            "healthcheck": _healthcheck(service),
        }
    )


def _limits(service: Service) -> dict[str, Any]:
    instance, container = service.instance, service.container
    memory, swap = (instance[option] and parse_size(instance[option]) for option in ("memory_max", "memory_swap_max"))
    limits: dict[str, Any] = {
        "cpus": container["cpu_limit"] and _cores(container["cpu_limit"]),
        "mem_limit": _mebi(memory) if memory else None,
        # Docker counts memory and swap together.
        "memswap_limit": _mebi(memory + swap) if memory and swap is not None else None,
        "oom_score_adj": instance["oom_score_adj"],
    }
    if container["gpu"]:
        device = {"driver": "nvidia", "count": container["gpu"], "capabilities": ["gpu"]}
        limits["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    return limits


def _healthcheck(service: Service) -> dict[str, Any] | None:
    test = probe(service)
    if not test:
        return None
    return {
        "test": ["CMD", *map(_literal, test)],
        "interval": f"{PROBE_INTERVAL}s",
        "timeout": "10s",
        "retries": 2,
        "start_period": f"{service.start}s",
    }


def _logging(service: Service) -> dict[str, Any] | None:
    """What a rotated log_file is on a server."""
    if not service.instance["log_file"]:
        return None
    size = max(1, parse_size(service.instance["log_max_size"]) // 2**20)
    return {"driver": "local", "options": {"max-size": f"{size}m", "max-file": "9"}}


def _volumes(service: Service) -> dict[str, str]:
    """The names and paths of the service's volumes. The schedule of a beat is only kept where that is asked for."""
    chosen = service.container["volumes"]
    own = {dns_name(path): path for path in own_paths(service.instance) if path not in chosen}
    return {**own, **{name: path for path, name in chosen.items()}}


def _scratch(service: Service) -> list[str]:
    """Writable, and gone with the container.

    Where the image lacks the path, its second start would give it the mode of root's mount point, but not its owner.
    """
    container = service.container
    kept = {*own_paths(service.instance), *container["volumes"]}
    owner = f"mode=0700,uid={container['uid']},gid={container['gid']}"
    return [f"{path}:{owner}" for path in writable_paths(service) if path not in kept]


def _variables(service: Service) -> dict[str, str]:
    values = {name: _literal(value) for name, value in variables(service).items()}
    # Unset is an error; so is empty, unless it is so on the servers.
    empty = [name for name in service.secrets if str(service.instance["environment"][name]) == ""]
    references = {name: f"${{{key}{'' if name in empty else ':'}?{_SET_IT}}}" for name, key in service.secrets.items()}
    return {**dict(sorted(values.items())), **references}


def _broker(image: str) -> dict[str, Any]:
    name = "rabbitmq" if "rabbit" in image else "redis"
    note = "Only for development: profile development, which .env.example chooses."
    return {name: Note(note, {"image": image, "profiles": ["development"], "restart": "always"}, apart=True)}


def variables_file(services: list[Service], broker: str) -> str:
    """The variables that compose reads from .env, without their values."""
    lines = ["Copy this to .env, which stays out of the repository, and write the values.\n"]
    lines[0] = f"# {lines[0]}"
    if broker:
        lines.append("# The profile has the broker. In production, leave it out.\nCOMPOSE_PROFILES=development\n")
    urls = _urls_of_broker(services, broker) if broker else {}
    for key, names in secret_keys(services).items():
        lines.append(f"# {all_or(names, services)}\n{key}={urls.get(key, '')}\n")
    return "\n".join(lines)


def _urls_of_broker(services: list[Service], image: str) -> dict[str, str]:
    """The development broker's URL for each variable whose URL is on the broker's host."""
    scheme, port = ("amqp", 5672) if "rabbit" in image else ("redis", 6379)
    name, urls = "rabbitmq" if "rabbit" in image else "redis", {}
    for service in services:
        hosts = {urlsplit(broker_url(service.instance)).hostname} - {None}
        for variable, key in service.secrets.items():
            url = str(service.instance["environment"][variable])
            if "://" in url and urlsplit(url).hostname in hosts and urlsplit(url).scheme in BROKERS[name]:
                urls[key] = urlunsplit((scheme, f"{name}:{port}", urlsplit(url).path, "", ""))
    return urls


def _literal(text: str) -> str:
    """compose replaces $NAME."""
    return str(text).replace("$", "$$")


def _mebi(size: int) -> str:
    return f"{-(-size // 2**20)}m"


def _cores(cpu: str) -> float:
    return int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
