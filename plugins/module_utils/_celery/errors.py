# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors and warnings that follow from the services' options alone. Nothing here looks at the host."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from .._common.options import Option, hidden_characters
from .._common.quantities import parse_duration, parse_size
from .._common.secrets import assigned_secrets, says_secret
from . import log_file, profile
from .names import name_errors
from .options import KINDS, Instance, application_limit, node_name, time_limit

# Options for which neither Celery nor systemd has a default.
_REQUIRED = ("app", "directory", "executable", "user", "log_max_size", "watchdog", "start_timeout", "stay_up")
_REQUIRED_OF = {
    "worker": (*_REQUIRED, "pool", "stale_workers", "stale_workers_timeout"),
    "beat": (*_REQUIRED, "stale_beats", "stale_beats_timeout"),
}
_PARSERS = {"size": parse_size, "duration": parse_duration}
_PYTHON = re.compile(r"/(.*/)?(python|pypy)[\d.]*t?")
# Settings without a section, which Celery's command line can't set. (include has an option of its own.)
_NOT_ON_THE_COMMAND_LINE = ("imports", "timezone")
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:|\.)[A-Za-z_]\w*", re.ASCII)
# Characters that mean nothing to systemd and logrotate, and no step back.
_LOG_FILE = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9_.@+-]+){2,}")
# The service has a /tmp of its own, and logrotate.service can't write to the others (ProtectSystem=full).
_NOT_FOR_LOGS = ("/tmp", "/var/tmp", "/dev", "/proc", "/sys", "/usr", "/etc", "/boot")  # noqa: S108
_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]+\.(service|socket|target|mount|automount|path|timer|slice|swap|device)")
# What the unit has without quotes: systemd removes white space around it, and a backslash at the end of a line joins it
# with the next.
_UNQUOTED = ("description", "directory", "user", "group", "revision")
# With another value the service could not tell systemd how it is, or the preflight could not find that out.
_SYSTEMDS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "SYSTEMD_EXEC_PID")

_LONGEST_NAME = 60  # characters of a variable's name that is shown although it is not valid
_LONGEST_VARIABLE = 131072  # bytes of name and value with their "=", execve(2)


def errors(instances: list[Instance]) -> Iterator[str]:
    """The errors in the instances of a kind, each a sentence with the option, its value and what is accepted."""
    kind = instances[0]["kind"] if instances else "worker"
    table = (Option("instances", "list", "", elements="dict", options=KINDS[kind]),)
    hidden = list(hidden_characters(table, {"instances": instances}))
    if hidden:  # No other error may repeat such a value.
        yield from hidden
        return
    unique = {
        "name": [instance["name"] for instance in instances],
        "log_file": [str(path) for path in map(log_file.path, instances) if path],
    }
    if kind == "worker":
        unique["node_name"] = list(map(node_name, instances))
    for option, values in unique.items():
        for value, count in Counter(values).items():
            if count > 1:
                yield f"{option} {value!r} is used by {count} {kind}s. Set a different one for each."
    if kind == "beat":
        yield from _beats_of_one_schedule(instances)
    for instance in instances:
        for error in _errors_of(instance):
            yield f"{instance['name']}: {error}"


def _beats_of_one_schedule(instances: list[Instance]) -> Iterator[str]:
    schedules: dict[str, list[str]] = {}
    for beat in instances:
        schedule = [beat[option] for option in ("app", "directory", "environment", "scheduler", "settings")]
        schedules.setdefault(json.dumps(schedule, sort_keys=True, default=str), []).append(beat["name"])
    for names in schedules.values():
        if len(names) > 1:
            yield (
                f"{', '.join(names)}: these beats have the same application and environment: every task would be sent"
                f" {len(names)} times. Keep one of them."
            )


def _errors_of(instance: Instance) -> Iterator[str]:
    yield from name_errors(instance["name"])
    kind = instance["kind"]
    for option in _REQUIRED_OF[kind]:
        if instance[option] in (None, ""):
            yield f"{option} is required. Set it for this {kind} or in celery_{kind}_defaults."
    for option in ("directory", "executable"):
        if instance[option]:
            yield from _not_absolute(option, [instance[option]])
    yield from _wrong_executable(str(instance["executable"]))
    for option in ("writable_paths", "restart_on"):
        yield from _not_absolute(option, instance[option])
    yield from _wrong_log(instance)
    for option in _UNQUOTED:
        yield from _not_unquoted(option, instance[option])
    if assigned_secrets(instance["revision"] or ""):
        yield (
            "revision contains a password, which every user of the host could read in the unit. Use a text without it,"
            " such as a commit or a tag."
        )
    for unit in instance["after"]:
        if not _UNIT.fullmatch(unit):
            yield f"after {unit!r} is not the name of a unit. Write it with its type, such as redis-server.service."
    yield from _wrong_command(instance["preflight_command"])
    for directive, value in instance["sandbox"].items():
        yield from _wrong_directive(directive, value)
    quantities, wrong = _quantities(instance)
    yield from wrong
    yield from _wrong_limits(instance, quantities)
    yield from {"worker": _wrong_of_worker, "beat": _wrong_of_beat}[kind](instance, quantities)
    for setting, value in instance["settings"].items():
        yield from _wrong_setting(setting, value, kind)
    for variable, value in instance["environment"].items():
        yield from _wrong_variable(variable, value)


def _wrong_executable(executable: str) -> Iterator[str]:
    if _PYTHON.fullmatch(executable):
        yield (
            f"executable {executable!r} is Python. Use the celery command beside it, or a script with the lines:"
            f' #!/bin/sh and: exec {executable} -m celery "$@"'
        )


def _wrong_command(command: list[str]) -> Iterator[str]:
    if command and "/" not in command[0]:
        yield (
            f"preflight_command {command[0]!r} is not the path of a program. Write it with a '/', absolute or relative"
            " to directory, such as venv/bin/python."
        )
    if any(map(assigned_secrets, command)):
        yield (
            "preflight_command contains a password, which every user of the host could read in the process list. Set it"
            " in environment instead."
        )


def _not_unquoted(option: str, text: Any) -> Iterator[str]:
    if text and (str(text) != str(text).strip() or str(text).endswith("\\")):
        yield f"{option} {text!r} begins or ends with white space, or ends with a backslash. Remove it."


def _wrong_log(instance: Instance) -> Iterator[str]:
    file, limit = instance["log_file"], instance["log_rate_limit"]
    if not isinstance(file, bool) and file not in (None, ""):
        if not isinstance(file, str) or not _LOG_FILE.fullmatch(file):
            yield (
                f"log_file {file!r} is neither true nor an absolute path in a directory. Write its names with letters,"
                " digits, '_', '-', '.', '+' and '@', such as /var/log/shop/worker.log."
            )
        elif file.startswith(tuple(f"{directory}/" for directory in _NOT_FOR_LOGS)):
            yield f"log_file {file!r} is where logrotate can't rename it. Use a path in /var/log, or set it to true."
    if limit is not None and limit < 1:
        yield f"log_rate_limit {limit} is too small. Use 1 or more: 1000000 is as good as no limit."


def _wrong_directive(directive: str, value: Any) -> Iterator[str]:
    if not re.fullmatch("[A-Za-z0-9]+", directive):
        yield f"sandbox: {directive!r} is not a directive. Write its name as in systemd.exec(5), such as PrivateTmp."
    for each in value if isinstance(value, (list, tuple)) else [value]:
        yield from _not_unquoted(f"sandbox: {directive}", each)


def _quantities(instance: Instance) -> tuple[dict[str, float], list[str]]:
    """The sizes and durations that are set, by their options, and an error for each that is not one."""
    quantities: dict[str, float] = {}
    wrong = []
    for option in KINDS[instance["kind"]]:
        value = instance[option.name]
        if option.type in _PARSERS and value is not None:
            try:
                quantities[option.name] = _PARSERS[option.type](value)
            except ValueError as error:
                wrong.append(f"{option.name} {error}.")
    return quantities, wrong


def _wrong_limits(instance: Instance, quantities: dict[str, float]) -> Iterator[str]:
    for lower, higher in (("memory_high", "memory_max"), ("soft_time_limit", "time_limit")):
        if quantities.get(lower, 0) >= quantities.get(higher, float("inf")):
            yield f"{lower} {instance[lower]} must be below {higher} {instance[higher]}. Lower it, or raise {higher}."
    if 0 < quantities.get("watchdog", 0) < 1:
        yield f"watchdog {instance['watchdog']} is shorter than one second. Use 10s or more, or 0 to switch it off."


def _wrong_of_beat(instance: Instance, quantities: dict[str, float]) -> Iterator[str]:
    if quantities.get("max_interval", 1) < 1:
        yield f"max_interval {instance['max_interval']} is shorter than a second. Leave it out, or use 1s and more."
    if instance["scheduler"] and not _CLASS.fullmatch(instance["scheduler"]):
        yield (
            f"scheduler {instance['scheduler']!r} is not the path of a class. Write it as module:Class, such as"
            " django_celery_beat.schedulers:DatabaseScheduler."
        )


def _wrong_of_worker(instance: Instance, quantities: dict[str, float]) -> Iterator[str]:
    yield from profile.errors(instance)
    if instance["concurrency"] is not None and instance["concurrency"] < 1:
        yield f"concurrency {instance['concurrency']} is too small. Use 1 or more."
    yield from _wrong_autoscale(instance["autoscale"], instance["pool"])
    for limit in ("soft_time_limit", "time_limit"):
        if 0 <= quantities.get(limit, 1) < 1:
            yield f"{limit} {instance[limit]} is shorter than a second. Leave it out, or use 1s and more."
    for option in ("max_memory_per_child", "max_tasks_per_child"):
        if instance[option] is not None and instance["pool"] != "prefork":
            yield (
                f"{option} {instance[option]} has an effect only in the prefork pool, but pool is {instance['pool']}."
                f" Remove {option}, or set pool to prefork."
            )
    if quantities.get("max_memory_per_child", 0) > quantities.get("memory_max", float("inf")):
        yield (
            f"max_memory_per_child {instance['max_memory_per_child']} is above memory_max {instance['memory_max']}."
            " Lower it, or raise memory_max."
        )


def _wrong_autoscale(scale: list[int], pool: str) -> Iterator[str]:
    if scale and not (len(scale) == 2 and scale[0] >= scale[1] >= 1):
        yield f"autoscale {scale} is not the most and the least children. Write two numbers from 1 on, such as [8, 2]."
    if scale and pool in ("threads", "solo"):
        yield (
            f"autoscale {scale} has no effect in the pool {pool}. Remove autoscale and set concurrency, or set another"
            " pool."
        )


def _wrong_setting(setting: str, value: Any, kind: str) -> Iterator[str]:
    if setting == "include" and kind == "worker":
        if not (isinstance(value, list) and all(re.fullmatch(r"[\w.]+", str(module)) for module in value)):
            yield f"settings: include {value!r} is not a list of modules. Write a list, such as [shop.reports]."
    elif setting == "beat_scheduler":
        yield "settings: beat_scheduler can't be set here. Use the option scheduler of a beat."
    elif setting in _NOT_ON_THE_COMMAND_LINE or "_" not in setting:
        yield f"settings: {setting!r} can't be set on Celery's command line. Set it in the application."
    size = len(f"{setting}=(json){json.dumps(value, default=str)}")
    if size >= _LONGEST_VARIABLE:
        yield (
            f"settings: {setting!r} has {size} characters, more than an argument can have on Linux (131072 bytes with"
            " its name). Set it in the application."
        )
    for place in _passwords(setting, value):
        yield (
            f"settings: {place!r} contains a password, which every user of the host could read in the process list."
            " Set it in environment instead, such as by CELERY_BROKER_URL or CELERY_RESULT_BACKEND, or in the"
            " application."
        )


def _passwords(name: str, value: Any) -> Iterator[str]:
    """The places within a setting, such as broker_transport_options.sentinel_kwargs.password, that have a password."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _passwords(f"{name}.{key}", inner)
    elif isinstance(value, list):
        if any(any(_passwords(name, inner)) for inner in value):
            yield name
    elif value not in (None, "", True, False) and (
        says_secret(name.rpartition(".")[2]) or assigned_secrets(str(value))
    ):
        yield name


def _wrong_variable(variable: str, value: Any) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        yield (
            f"environment: {_variable_name(variable, value)} is not a valid variable name. Use letters, digits and '_',"
            " no digit first."
        )
        return
    if isinstance(value, (bool, list, dict)):
        yield (
            f"environment: {variable} is a {type(value).__name__}, not a string. Put its value in quotes, in the form"
            " that the application reads."
        )
    if len(f"{variable}={value}".encode(errors="replace")) >= _LONGEST_VARIABLE:
        yield (
            f"environment: {variable} has {len(str(value))} characters, more than a variable can have on Linux"
            " (131072 bytes with its name). Put it into a file, and its path into the variable."
        )
    if variable in _SYSTEMDS:
        yield f"environment: {variable} is systemd's own, for each start another one. Remove it."
    if variable == "CELERY_WORKER_BEAT" and value not in (None, "", "0"):
        yield (
            "environment: CELERY_WORKER_BEAT runs a beat within a worker, where nothing notices if it ends. Remove it,"
            " and add a beat to celery_beat_instances."
        )
    if variable == "CELERY_WORKER_INCLUDE":
        yield (
            "environment: CELERY_WORKER_INCLUDE has no effect, as the command line overrides it."
            " Use settings: {include: […]} instead."
        )


def _variable_name(variable: str, value: Any) -> str:
    """The name as it may be shown: in A=secret, A:secret, and secret: A it contains the value by mistake."""
    name, sign, _value = re.split("([:=])", variable, maxsplit=1) if re.search("[:=]", variable) else (variable, "", "")
    if re.fullmatch("[A-Z][A-Z0-9_]+", str(value)) or len(name) > _LONGEST_NAME:
        return f"a name of {len(variable)} characters"
    return repr(name + sign + "…" * bool(sign))


def _not_absolute(option: str, paths: list[str]) -> Iterator[str]:
    for path in paths:
        if not str(path).startswith("/"):
            yield f"{option} {path!r} is not an absolute path. Start it with '/'."


def warnings(instances: list[Instance]) -> Iterator[str]:
    """What is allowed but may do harm, each in a sentence."""
    workers = [instance for instance in instances if instance["kind"] == "worker"]
    unlimited = [worker["name"] for worker in workers if worker["memory_max"] is None]
    if unlimited:
        names = ", ".join(unlimited)
        yield f"{names}: memory_max is not set. Set it, or a task may use up all of the machine's memory."
    for instance in instances:
        if instance["user"] == "root":
            yield f"{instance['name']}: user is root, so its tasks run as root. Set an unprivileged user."
    for instance in workers:
        own, its_applications = time_limit(instance) or 0, application_limit(instance)
        if instance["stop_timeout"] and parse_duration(instance["stop_timeout"]) < max(own, its_applications):
            limit = f"time_limit {instance['time_limit'] or f'{own:g}'}"
            if its_applications > own:
                limit = f"the time limit {its_applications:g} s that the application sets"
            yield (
                f"{instance['name']}: stop_timeout {instance['stop_timeout']} is below {limit}. A restart may interrupt"
                " a long task. Raise stop_timeout."
            )
