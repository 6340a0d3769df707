# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services in the words of a Render blueprint: https://render.com/docs/blueprint-spec."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from .._celery.command import command
from .._celery.options import Instance
from .._common.quantities import format_size, parse_size
from .._common.texts import printable
from .container import FOLDER, PROGRAMS, Service, description, variables
from .yaml_text import Note, given

FILE = "render.yaml"
# MiB of each plan, smallest first. There is none of 1 GiB.
PLANS = {"starter": 512, "standard": 2048, "pro": 4096, "pro plus": 8192, "pro max": 16384, "pro ultra": 32768}
_SCHEDULE = "--schedule=/tmp/schedule"  # of a beat
LONGEST_STOP = 300  # seconds, maxShutdownDelaySeconds


def errors(instance: Instance, container: Mapping[str, Any]) -> Iterator[str]:
    """Why Render can't run this service."""
    memory = parse_size(instance["memory_max"]) if instance["memory_max"] else 0
    chosen = container["plan"]
    if chosen and chosen not in PLANS:
        yield f"plan '{printable(chosen)}' is not one of Render's. Use one of these: {', '.join(PLANS)}."
    elif memory > PLANS[chosen or "pro ultra"] * 2**20:
        yield (
            f"memory_max {instance['memory_max']} is more than the {PLANS[chosen or 'pro ultra']}M of Render's plan"
            f" {chosen or 'pro ultra'}. Lower it{', or choose a larger plan' if chosen else ''}."
        )


def files(services: list[Service], options: Mapping[str, Any]) -> dict[str, Any]:
    """The documents by their files' names."""
    how = options["render"]
    return {
        FILE: [
            {
                "services": [
                    Note(description(service), _service(service, how), apart=bool(number))
                    for number, service in enumerate(services)
                ]
            }
        ]
    }


def plan(service: Service) -> str:
    """The chosen plan, or the smallest that holds the memory limit."""
    memory = parse_size(service.instance["memory_max"] or "0") / 2**20
    return service.container["plan"] or next(name for name, size in PLANS.items() if size >= memory)


def _service(service: Service, how: Mapping[str, Any]) -> dict[str, Any]:
    stop = min(service.stop, LONGEST_STOP)
    # Tasks are handed back before Render's own limit.
    within = replace(service, instance={**service.instance, "stop_timeout": stop})
    native = how["runtime"] == "python"
    # No other directory is sure to be there, and writable.
    words = [_SCHEDULE if word.startswith("--schedule=") else word for word in command(service.instance)]
    plain = variables(within, FOLDER if native else PROGRAMS)
    return given(
        {
            "type": "worker",
            "name": service.name,
            "runtime": how["runtime"],
            "image": {"url": service.container["image"]} if how["runtime"] == "image" else None,
            "dockerfilePath": "./Dockerfile" if how["runtime"] == "docker" else None,
            "buildCommand": how["build_command"] if native else None,
            "startCommand" if native else "dockerCommand": shlex.join(words),
            "plan": plan(service),
            "numInstances": service.container["replicas"],
            "maxShutdownDelaySeconds": stop,
            "envVars": [
                *({"key": name, "value": value} for name, value in sorted(plain.items())),
                # Entered in Render's dashboard.
                *({"key": name, "sync": False} for name in service.secrets),
            ],
        }
    )


def plan_memory(name: str) -> str:
    """The plan's memory as people write it."""
    return format_size(PLANS[name] * 2**20)
