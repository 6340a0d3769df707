# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors and warnings about workers, as far as their options alone tell: nothing here looks at the host."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from .._common.quantities import parse_duration, parse_size
from .options import WORKER, Instance, node_name, time_limit
from .secrets import PASSWORD_IN_URL

# What neither Celery nor systemd fills in.
_REQUIRED = (
    *("app", "directory", "executable", "user", "pool", "watchdog", "start_timeout", "stay_up"),
    *("stale_workers", "stale_workers_timeout"),
)
_PARSERS = {"size": parse_size, "duration": parse_duration}
# Settings without a section: Celery's command line can't name them (include is an option of its own).
_NOT_ON_THE_COMMAND_LINE = ("imports", "timezone")


def errors(instances: list[Instance]) -> Iterator[str]:
    """What is wrong with the instances, each in a sentence with the option, its value and what is accepted."""
    for option, values in (("name", [i["name"] for i in instances]), ("node_name", list(map(node_name, instances)))):
        for value, count in Counter(values).items():
            if count > 1:
                yield f"{option} {value!r} is given to {count} workers. Give each its own."
    for instance in instances:
        for error in _errors_of(instance):
            yield f"{instance['name']}: {error}"


def _errors_of(instance: Instance) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,199}", instance["name"]) or instance["name"].endswith(
        ("@", ".service")
    ):
        yield "name is not a unit's name: use letters, digits, '-', '_', '.' and '@', without '.service'."
    for option in _REQUIRED:
        if instance[option] in (None, ""):
            yield f"{option} is required. Set it for this worker or in celery_worker_defaults."
    for option in ("directory", "executable"):
        if instance[option]:
            yield from _not_absolute(option, [instance[option]])
    yield from _not_absolute("writable_paths", instance["writable_paths"])
    if instance["concurrency"] is not None and instance["concurrency"] < 1:
        yield f"concurrency {instance['concurrency']} is too small. Use 1 or more."
    yield from _wrong_quantities(instance)
    for setting, value in instance["settings"].items():
        yield from _wrong_setting(setting, value)
    for variable, value in instance["environment"].items():
        yield from _wrong_variable(variable, value)


def _wrong_quantities(instance: Instance) -> Iterator[str]:
    quantities: dict[str, float] = {}
    for option in WORKER:
        value = instance[option.name]
        if option.type in _PARSERS and value is not None:
            try:
                quantities[option.name] = _PARSERS[option.type](value)
            except ValueError as error:
                yield f"{option.name} {error}."
    for lower, higher in (("memory_high", "memory_max"), ("soft_time_limit", "time_limit")):
        if quantities.get(lower, 0) >= quantities.get(higher, float("inf")):
            yield f"{lower} {instance[lower]} must be below {higher} {instance[higher]}."
    if 0 < quantities.get("watchdog", 0) < 1:
        yield f"watchdog {instance['watchdog']} is shorter than a second. Use 0 to switch it off, or 10s and more."
    for option in ("max_memory_per_child", "max_tasks_per_child"):
        if instance[option] is not None and instance["pool"] != "prefork":
            yield f"{option} works in the prefork pool only, and pool is {instance['pool']}. Remove one of the two."
    if quantities.get("max_memory_per_child", 0) > quantities.get("memory_max", float("inf")):
        yield (
            f"max_memory_per_child {instance['max_memory_per_child']} is above memory_max {instance['memory_max']}."
            " Lower it, or raise memory_max."
        )


def _wrong_setting(setting: str, value: Any) -> Iterator[str]:
    if setting == "include":
        if not (isinstance(value, list) and all(isinstance(module, str) for module in value)):
            yield f"settings: include {value!r} is not a list of modules. Write it as one: include: [shop.reports]."
    elif setting in _NOT_ON_THE_COMMAND_LINE or "_" not in setting:
        yield f"settings: {setting!r} can't be set on Celery's command line. Set it in the application."
    if setting.endswith("_password") or PASSWORD_IN_URL.search(json.dumps(value)):
        yield (
            f"settings: {setting!r} holds a password, which everybody on the host could read in the process list."
            " Put it in environment, such as CELERY_BROKER_URL or CELERY_RESULT_BACKEND."
        )


def _wrong_variable(variable: str, value: Any) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        yield f"environment: {variable!r} is not a variable's name: use letters, digits and '_'."
    if isinstance(value, (bool, list, dict)):
        yield f"environment: {variable} is not a string. Put its value in quotes, as the application reads it."
    if variable == "CELERY_WORKER_INCLUDE":
        yield "environment: CELERY_WORKER_INCLUDE would be overridden. Use settings: {include: […]}."


def _not_absolute(option: str, paths: list[str]) -> Iterator[str]:
    for path in paths:
        if not str(path).startswith("/"):
            yield f"{option} {path!r} is not an absolute path. Begin it with '/'."


def warnings(instances: list[Instance]) -> Iterator[str]:
    """What may do harm although it is allowed, each in a sentence."""
    unlimited = [instance["name"] for instance in instances if instance["memory_max"] is None]
    if unlimited:
        yield f"{', '.join(unlimited)}: memory_max is not set. A task may use up all of the machine's memory."
    for instance in instances:
        if instance["user"] == "root":
            yield f"{instance['name']}: its tasks run as root. Give it an ordinary user."
        limit = time_limit(instance)
        if instance["stop_timeout"] and limit and parse_duration(instance["stop_timeout"]) < limit:
            yield (
                f"{instance['name']}: stop_timeout {instance['stop_timeout']} is below time_limit"
                f" {instance['time_limit'] or f'{limit:g}'}. A restart may cut a long task short."
            )
