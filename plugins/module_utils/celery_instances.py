# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a worker's instance, and what can be said of them without looking at the host."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Iterator, NamedTuple

from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import parse_duration, parse_size
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_unit import Instance, node_name, time_limit

INSTANCE_SPEC: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "description": {"type": "str"},
    "app": {"type": "str"},
    "directory": {"type": "str"},
    "executable": {"type": "str"},
    "user": {"type": "str"},
    "group": {"type": "str"},
    "queues": {"type": "list", "elements": "str"},
    "concurrency": {"type": "int"},
    "pool": {"type": "str", "choices": ["prefork", "threads", "solo", "gevent", "eventlet"]},
    "node_name": {"type": "str"},
    "log_level": {"type": "str", "choices": ["debug", "info", "warning", "error", "critical"]},
    "max_memory_per_child": {"type": "str"},
    "max_tasks_per_child": {"type": "int"},
    "prefetch_multiplier": {"type": "int"},
    "soft_time_limit": {"type": "str"},
    "time_limit": {"type": "str"},
    "settings": {"type": "dict"},
    "environment": {"type": "json", "no_log": True},
    "memory_high": {"type": "str"},
    "memory_max": {"type": "str"},
    "memory_swap_max": {"type": "str"},
    "oom_policy": {"type": "str", "choices": ["continue", "stop", "kill"]},
    "oom_score_adj": {"type": "int"},
    "restart": {
        "type": "str",
        "choices": ["no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"],
    },
    "restart_sec": {"type": "str"},
    "start_limit_burst": {"type": "int"},
    "start_limit_interval": {"type": "str"},
    "watchdog": {"type": "str"},
    "start_timeout": {"type": "str"},
    "stay_up": {"type": "str"},
    "stop_timeout": {"type": "str"},
    "after": {"type": "list", "elements": "str"},
    "stale_workers": {"type": "str", "choices": ["report", "stop", "kill"]},
    "stale_workers_users": {"type": "list", "elements": "str"},
    "stale_workers_timeout": {"type": "str"},
    "writable_paths": {"type": "list", "elements": "path"},
    "sandbox": {"type": "dict"},
}
SHORTEST_SECRET = 8
INSTANCES_SPEC = {"type": "list", "elements": "dict", "required": True, "options": INSTANCE_SPEC}

_SIZES = ("max_memory_per_child", "memory_high", "memory_max", "memory_swap_max")
_FENCES = ("max_memory_per_child", "memory_max")
_DURATIONS = (
    *("soft_time_limit", "time_limit", "restart_sec", "start_limit_interval", "watchdog"),
    *("start_timeout", "stay_up", "stop_timeout", "stale_workers_timeout"),
)
# Settings without a section: Celery's command line can't name them (include is an option of its own).
_NOT_ON_THE_COMMAND_LINE = ("imports", "timezone")
_PASSWORD_IN_URL = re.compile(r"://[^/@\s]*:([^/@\s]+)@")


def merged(instance: Instance) -> Instance:
    """The instance with something in place of each option that was not said."""
    empty: dict[str, Any] = {"list": [], "dict": {}, "json": "{}"}
    said = {
        name: empty.get(INSTANCE_SPEC[name]["type"]) if value is None else value for name, value in instance.items()
    }
    return {**said, "environment": json.loads(said["environment"])}


def without_secrets(text: str, instances: list[Instance]) -> str:
    """The text with the environment's values, and the passwords in them, struck out; not those too short for one."""
    values = {str(value) for instance in instances for value in instance["environment"].values()}
    values |= {password for value in values for password in _PASSWORD_IN_URL.findall(value)}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= SHORTEST_SECRET:
            text = text.replace(value, "********")
    return text


def mistakes(instances: list[Instance]) -> Iterator[str]:
    """What is wrong with the instances by themselves, each in a sentence with option, value and what is accepted."""
    for option, values in (("name", [i["name"] for i in instances]), ("node_name", list(map(node_name, instances)))):
        for value, count in Counter(values).items():
            if count > 1:
                yield f"{option} {value!r} is given to {count} workers. Give each its own."
    for instance in instances:
        for mistake in _mistakes_of(instance):
            yield f"{instance['name']}: {mistake}"


def _mistakes_of(instance: Instance) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,199}", instance["name"]) or instance["name"].endswith(
        ("@", ".service")
    ):
        yield "name is not a unit's name: use letters, digits, '-', '_', '.' and '@', without '.service'."
    for option in ("app", "directory", "executable", "user"):
        if not instance[option]:
            yield f"{option} is not said. Say it for this worker, or for all in celery_worker_defaults."
    for option in ("directory", "executable"):
        if instance[option]:
            yield from _not_absolute(option, [instance[option]])
    yield from _not_absolute("writable_paths", instance["writable_paths"])
    if instance["concurrency"] is not None and instance["concurrency"] < 1:
        yield f"concurrency {instance['concurrency']} is below 1."
    yield from _wrong_quantities(instance)
    for setting, value in instance["settings"].items():
        yield from _wrong_setting(setting, value)
    for variable, value in instance["environment"].items():
        yield from _wrong_variable(variable, value)


def _wrong_setting(setting: str, value: Any) -> Iterator[str]:
    if setting == "include":
        if not (isinstance(value, list) and all(isinstance(module, str) for module in value)):
            yield f"settings: include {value!r} is not a list of modules. Write it as one: include: [shop.reports]."
    elif setting in _NOT_ON_THE_COMMAND_LINE or "_" not in setting:
        yield f"settings: {setting!r} can't be set on Celery's command line. Set it in the application."
    if setting.endswith("_password") or _PASSWORD_IN_URL.search(json.dumps(value)):
        yield (
            f"settings: {setting!r} holds a password, which everybody on the host could read in the process list."
            " Put it in environment, such as CELERY_BROKER_URL or CELERY_RESULT_BACKEND."
        )


def _wrong_variable(variable: str, value: Any) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        yield f"environment: {variable!r} is no name of a variable: use letters, digits and '_'."
    if isinstance(value, (bool, list, dict)):
        yield f"environment: {variable} is not a text. Put its value in quotes, as the application reads it."
    if variable == "CELERY_WORKER_INCLUDE":
        yield "environment: CELERY_WORKER_INCLUDE would be overruled. Use settings: {include: […]}."


def _not_absolute(option: str, paths: list[str]) -> Iterator[str]:
    for path in paths:
        if not str(path).startswith("/"):
            yield f"{option} {path!r} is not an absolute path. Write it from / on."


def _wrong_quantities(instance: Instance) -> Iterator[str]:
    said: dict[str, float] = {}
    for options, parse in ((_SIZES, parse_size), (_DURATIONS, parse_duration)):
        for option in options:
            if instance[option] is not None:
                try:
                    said[option] = parse(instance[option])
                except ValueError as error:
                    yield f"{option} {error}."
    for lower, higher in (("memory_high", "memory_max"), ("soft_time_limit", "time_limit")):
        if said.get(lower, 0) >= said.get(higher, float("inf")):
            yield f"{lower} {instance[lower]} must be below {higher} {instance[higher]}."
    if 0 < said.get("watchdog", 0) < 1:
        yield f"watchdog {instance['watchdog']} is shorter than a second. Use 0 to switch it off, or 10s and more."
    for option in ("max_memory_per_child", "max_tasks_per_child"):
        if instance[option] is not None and instance["pool"] != "prefork":
            yield f"{option} works in the prefork pool only, and pool is {instance['pool']}. Leave it out."
    if said.get("max_memory_per_child", 0) > said.get("memory_max", float("inf")):
        yield f"max_memory_per_child {instance['max_memory_per_child']} is above memory_max {instance['memory_max']}."


def remarks(instances: list[Instance]) -> Iterator[str]:
    """What is odd about instances without a mistake."""
    unfenced = [instance["name"] for instance in instances if instance["memory_max"] is None]
    if unfenced:
        yield f"{', '.join(unfenced)}: no memory_max. A task may eat all of the machine's memory."
    for instance in instances:
        if instance["user"] == "root":
            yield f"{instance['name']}: its tasks run as root, and so does who abuses one. Give it an ordinary user."
        limit = time_limit(instance)
        if instance["stop_timeout"] and limit and parse_duration(instance["stop_timeout"]) < limit:
            yield (
                f"{instance['name']}: stop_timeout {instance['stop_timeout']} is below time_limit"
                f" {instance['time_limit'] or f'{limit:g}'}. A restart may cut a long task short."
            )


class Footprint(NamedTuple):
    """The bytes that an application has in memory before its first task."""

    main: int  # the main process
    child: int  # what each child adds, besides what it shares with the main process
    peak: int  # of a child, shared or not: what Celery holds against max_memory_per_child

    def with_children(self, count: int) -> int:
        return self.main + self.child * count


NOTHING_KNOWN = Footprint(0, 0, 0)
AT_LEAST = 1  # child, where Celery takes as many as there are processors


def memory_mistakes(instance: Instance, footprint: Footprint) -> Iterator[str]:
    """Limits that this application can't keep."""
    child, fence = (instance[option] and parse_size(instance[option]) for option in _FENCES)
    concurrency = instance["concurrency"] or AT_LEAST
    if child and child <= footprint.peak:
        yield (
            f"max_memory_per_child {instance['max_memory_per_child']} is not above the {_mebi(footprint.peak)} that a"
            " child has once the application is imported: each would be replaced after its first task. Raise it well"
            " above, or import less."
        )
    if fence and fence < footprint.with_children(concurrency):
        children = f", {_mebi(footprint.child)} more for each of {concurrency} children" if footprint.child else ""
        yield (
            f"memory_max {instance['memory_max']} is below the {_mebi(footprint.with_children(concurrency))} that the"
            f" worker has once the application is imported ({_mebi(footprint.main)} for the main process{children})."
            " Raise it, or import less."
        )


def memory_remarks(instance: Instance, footprint: Footprint) -> Iterator[str]:
    """Limits of which the wrong one may be reached first."""
    child, fence = (instance[option] and parse_size(instance[option]) for option in _FENCES)
    if child and fence:
        concurrency = instance["concurrency"] or AT_LEAST
        grown = footprint.main + (child - footprint.peak + footprint.child) * concurrency
        if grown > fence:
            yield (
                f"memory_max {instance['memory_max']} is below the {_mebi(grown)} that the worker has when each of its"
                f" {concurrency} children is as large as max_memory_per_child"
                f" {instance['max_memory_per_child']}. The kernel may end a child before Celery replaces it."
            )


def memory_budget(instances: list[Instance], reserved: int, total: int) -> str | None:
    """The table of who may use how much, if that is more than the machine has; None if all fits."""
    fences = {i["name"]: i["memory_max"] and parse_size(i["memory_max"]) for i in instances}
    needed = sum(size or 0 for size in fences.values()) + reserved
    if needed <= total or not any(fences.values()):
        return None
    workers = [(name, _mebi(size) if size else "no limit") for name, size in fences.items()]
    rest = [("reserved for the rest", _mebi(reserved))]
    sums = [("needed", needed), ("the machine has", total), ("missing", needed - total)]
    rows = [*workers, *rest, ("", ""), *((name, _mebi(size)) for name, size in sums)]
    width = max(len(name) for name, size in rows)
    table = [f"  {name:<{width}}  {size:>8}" if name else "  " + "-" * (width + 10) for name, size in rows]
    return "The workers' memory_max and what is reserved are more than the machine's memory:\n" + "\n".join(table)


def _mebi(size: int) -> str:
    return f"{-(-size // 2**20)}M"
