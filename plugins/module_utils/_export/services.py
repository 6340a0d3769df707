# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of all hosts, each once, with what a server has no word for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._celery.options import Instance
from .._celery.profile import with_profiles
from .._common.machine import Machine
from .._common.options import with_defaults
from .._common.quantities import parse_size
from .._targets.container import Service
from .options import CONTAINER


def merged(instances: Iterable[Instance]) -> dict[str, list[Instance]]:
    """The instances of each name: one from each host that runs it."""
    by_name: dict[str, list[Instance]] = {}
    for instance in instances:
        by_name.setdefault(instance["name"], []).append(instance)
    return by_name


def containers(names: Iterable[str], options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The container options of each service of these names."""
    return {name: _container(options, name) for name in names}


def _container(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    layers = (options["defaults"] or {}, (options["workers"] or {}).get(name) or {})
    given = {key: value for layer in layers for key, value in layer.items() if value is not None}
    container = with_defaults(CONTAINER, given)
    for option in CONTAINER:
        if option.options:  # a dictionary that is not given stays away; one that is, is complete
            container[option.name] = (
                with_defaults(option.options, given[option.name]) if given.get(option.name) else None
            )
    container["image"] = container["image"] or options["image"]
    return container


def services(instances: Iterable[Instance], options: Mapping[str, Any]) -> list[Service]:
    """Workers first, each kind in the order of the inventory. The options have no errors (errors.py)."""
    by_name = merged(instances)
    found = {name: _in_container(each, _container(options, name)) for name, each in by_name.items()}
    variables = {name: _variables(instance) for name, (instance, _container_) in found.items()}
    plain = set(options["plain"])
    return [
        Service(
            instance=instance,
            container=container,
            plain={name: value for name, value in sorted(variables[service].items()) if name in plain},
            secrets={name: _key(service, name, variables) for name in sorted(variables[service]) if name not in plain},
        )
        for service, (instance, container) in found.items()
    ]


def _in_container(hosts: list[Instance], container: dict[str, Any]) -> tuple[Instance, dict[str, Any]]:
    instance = {
        **hosts[0],
        "executable": container["executable"] or hosts[0]["executable"],
        "directory": container["directory"] or hosts[0]["directory"],
    }
    if container["machine"] and instance["kind"] == "worker":
        machine = container["machine"]
        [instance] = with_profiles([instance], Machine(parse_size(machine["memory"]), machine["processors"]), 0)
    replicas = container["replicas"]
    if replicas is None:
        replicas = len(hosts) if instance["kind"] == "worker" else 1
    return instance, {**container, "replicas": replicas}


def _variables(instance: Instance) -> dict[str, str]:
    return {name: str(value) for name, value in instance["environment"].items() if value is not None}


def _key(service: str, variable: str, variables: Mapping[str, Mapping[str, str]]) -> str:
    """The variable's name, or one of this service's own if others have the variable with another value."""
    values = {each[variable] for each in variables.values() if variable in each}
    if len(values) == 1:
        return variable
    return "".join(letter if letter.isalnum() else "_" for letter in f"{service}__{variable}").upper()
