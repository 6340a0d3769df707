# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a Celery worker and of a beat: each is written here, and nowhere else by hand."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._common.options import Option, with_defaults
from .._common.pools import POOLS
from .._common.quantities import parse_duration

# A service's kind and its options by their names, complete: see complete(). Besides these, `given` has the names of the
# options that are set, and `chosen` those that its profile has chosen (profile.py).
Instance = dict[str, Any]

# Directives of systemd.exec(5) that let a worker do its work and little else. docs/sandbox.md explains each.
SANDBOX = {
    "CapabilityBoundingSet": "",
    "LimitCORE": 0,
    "LockPersonality": True,
    "NoNewPrivileges": True,
    "PrivateDevices": True,
    "PrivateTmp": True,
    "ProtectClock": True,
    "ProtectControlGroups": True,
    "ProtectHome": "read-only",
    "ProtectHostname": True,
    "ProtectKernelLogs": True,
    "ProtectKernelModules": True,
    "ProtectKernelTunables": True,
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RestrictAddressFamilies": ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"],
    "RestrictNamespaces": True,
    "RestrictRealtime": True,
    "RestrictSUIDSGID": True,
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
    "SystemCallFilter": ["@system-service"],
}

# Beat executes no tasks, so it needs even less.
BEAT_SANDBOX = {
    **SANDBOX,
    "MemoryDenyWriteExecute": True,
    "RestrictAddressFamilies": ["AF_UNIX", "AF_INET", "AF_INET6"],
    "SystemCallFilter": ["@system-service", "~@privileged @resources"],
    "UMask": "0077",
}

_SERVICE = (
    Option("name", "str", "The name of the systemd unit, without C(.service).", required=True),
    Option(
        "description",
        "str",
        "C(Description=) of the unit. Empty for C(Celery worker NAME) or C(Celery beat NAME).",
        "",
        free_text=True,
    ),
    Option("app", "str", "The Celery application, as C(celery -A) takes it. Every service needs one."),
    Option(
        "directory", "str", "The application's directory, C(WorkingDirectory=) of the unit. Every service needs one."
    ),
    Option(
        "executable",
        "str",
        "The path of the C(celery) command, usually in the application's virtual environment.",
        "/usr/bin/celery",
    ),
    Option("user", "str", "The user that the service runs as.", "celery"),
    Option("group", "str", "The group that the service runs as. Empty for the user's primary group.", ""),
)
_CELERY = (
    Option(
        "log_level", "str", "Celery's log level.", "info", choices=("debug", "info", "warning", "error", "critical")
    ),
    Option(
        "log_file",
        "raw",
        (
            "A file to which the service writes what it logs, in addition to the journal: V(true) for"
            " C(/var/log/evenkeel/NAME/NAME.log), or an absolute path in a directory that O(user) can write to.",
            "logrotate renames it once a week, and keeps eight older ones.",
        ),
    ),
    Option(
        "log_max_size",
        "size",
        "The size above which logrotate renames O(log_file) on the same day, without waiting for the end of the week.",
        "50M",
    ),
    Option(
        "log_rate_limit",
        "int",
        "C(LogRateLimitBurst=): how many messages of the service the journal takes in 30 s. It drops further ones. By"
        " default C(RateLimitBurst=) of journald.conf(5).",
    ),
    Option(
        "settings",
        "dict",
        (
            "Any other Celery setting by its lower-case name, such as C(task_acks_late).",
            "Settings are passed on the command line, where every user of the host can read them. Put secrets into"
            " O(environment).",
        ),
        {},
        free_text=True,
    ),
    Option(
        "environment",
        "dict",
        (
            "Environment variables. They are kept in a file that only root can read, and are never shown.",
            "A variable that is null is left out, even if the defaults of the role set it.",
        ),
        {},
        no_log=True,
        free_text=True,
    ),
)
_LIMITS = (
    Option(
        "memory_high",
        "size",
        "C(MemoryHigh=): above this, the kernel throttles the service and reclaims its memory.",
    ),
    Option(
        "memory_max",
        "size",
        "C(MemoryMax=): above this, the kernel kills one of the service's processes.",
    ),
    Option("memory_swap_max", "size", "C(MemorySwapMax=): how much of the service may be swapped out."),
    Option(
        "oom_policy",
        "str",
        "C(OOMPolicy=): what systemd does with the service after the kernel's OOM killer has killed one of its"
        " processes. With V(continue), a worker loses only that process's task.",
        "continue",
        choices=("continue", "stop", "kill"),
    ),
    Option(
        "oom_score_adj",
        "int",
        "C(OOMScoreAdjust=), from -1000 to 1000: the kernel's OOM killer prefers processes with a higher value. A"
        " worker's child has 200 more than its main process.",
    ),
)
_UNENFORCED = Option(
    "unenforced",
    "str",
    (
        "What the preflight does if a memory limit, O(oom_policy), O(oom_score_adj) or one of these directives of"
        " O(sandbox) has no effect on the host, as in some containers and with cgroup v1: limits and weights of control"
        " groups (such as C(TasksMax)), C(Limit...), C(Nice), C(OOMScoreAdjust), C(IPAddressDeny), those that need a"
        " namespace (such as C(ProtectSystem)), and those that filter system calls. docs/sandbox.md lists them.",
        "V(warn) says so. V(fail) refuses to deploy the service there, before anything is changed.",
    ),
    "warn",
    choices=("warn", "fail"),
)
_SUPERVISION = (
    Option(
        "restart",
        "str",
        "C(Restart=): after which kinds of exit systemd starts the service again.",
        "always",
        choices=("no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"),
    ),
    Option("restart_sec", "duration", "C(RestartSec=): how long systemd waits before a restart.", "5s"),
    Option(
        "start_limit_burst",
        "int",
        "C(StartLimitBurst=): after this many starts within O(start_limit_interval), systemd gives up.",
        5,
    ),
    Option(
        "start_limit_interval",
        "duration",
        "C(StartLimitIntervalSec=): the interval in which systemd counts starts. With V(0) it never gives up.",
        "5min",
    ),
    Option(
        "watchdog",
        "duration",
        "C(WatchdogSec=): a service that hangs for this long is restarted. V(0) switches the watchdog off.",
        "30s",
    ),
    Option(
        "start_timeout",
        "duration",
        "C(TimeoutStartSec=): how long the service may take until it is ready, once stale processes have ended.",
        "90s",
    ),
    Option(
        "stay_up",
        "duration",
        (
            "How long the service has to run after a change. If it stops earlier, it is rolled back.",
            "Services change one after another, so ten that all change take ten times as long. V(0) switches this off.",
        ),
        "10s",
    ),
    Option(
        "after",
        "list",
        "Units that are started before this one, such as V(redis-server.service).",
        (),
        elements="str",
    ),
)
_RELEASE = (
    Option(
        "revision",
        "str",
        "Any text that names the application's version, such as a commit. When it changes, the service is restarted."
        " Empty for none.",
        "",
    ),
    Option(
        "restart_on",
        "list",
        (
            "Links, directories and files of the application, such as V(/srv/shop/current). When one has changed since"
            " the last deployment or restart by this collection, the service is restarted.",
            "Of a directory, the files C(*.py) and C(*.so) count, of a link its target too.",
        ),
        (),
        elements="path",
    ),
)
_CHECKS = (
    Option(
        "preflight_command",
        "list",
        (
            "A command that has to succeed before anything is changed, such as"
            " V([venv/bin/python, manage.py, check, --database, default]). It also runs in check mode, so it should"
            " change nothing.",
            "It runs as the service would: in its directory, as its user, with its environment, in its sandbox. It may"
            " take O(start_timeout).",
        ),
        (),
        elements="str",
    ),
    Option(
        "check_databases",
        "bool",
        "Whether a Django application's databases have to be usable: C(DATABASES) in its settings.",
        True,
    ),
)
_WRITABLE = Option(
    "writable_paths",
    "list",
    "Files and directories that the service may write to, C(ReadWritePaths=). The sandbox makes everything else"
    " read-only but C(/tmp) and C(/var/tmp), which are the service's own.",
    (),
    elements="path",
)

_CONCURRENCY = Option("concurrency", "int", "How many tasks run at once, Celery's C(worker_concurrency).", 1)
_CHILDREN = (
    Option(
        "max_memory_per_child",
        "size",
        "The size above which a child is replaced after its task, Celery's C(worker_max_memory_per_child)."
        " Only in the prefork pool.",
    ),
    Option(
        "max_tasks_per_child",
        "int",
        "The number of tasks after which a child is replaced, Celery's C(worker_max_tasks_per_child). Only in the"
        " prefork pool.",
    ),
    Option(
        "prefetch_multiplier",
        "int",
        "How many messages are reserved for each child, Celery's C(worker_prefetch_multiplier).",
    ),
)

# An entry of a profile's `machines`.
MACHINE = (
    Option(
        "memory",
        "size",
        "The least memory of a machine that this entry is for. Seven eighths of it are enough, as a machine that is"
        " sold with 4 GB reports less.",
        required=True,
    ),
    *(
        replace(option, description=f"C({option.name}) of the worker.", default=None)
        for option in (_CONCURRENCY, *_CHILDREN, *_LIMITS, *_CELERY)
        if option.name not in ("log_level", "settings", "oom_policy", "oom_score_adj")
    ),
)
PROFILE = (
    Option(
        "task_memory",
        "size",
        (
            "How much memory a child needs at a task's peak, the imported application included. A child may use 30 %"
            " more.",
            "From it follow C(concurrency), which is as high as memory and processors allow, C(memory_max) and, in the"
            " prefork pool, C(max_memory_per_child).",
        ),
    ),
    Option(
        "max_concurrency",
        "int",
        "How many tasks run at once at most. By default as many as the machine has processors, which is also the most"
        " in all pools but gevent and eventlet.",
    ),
    Option("main_memory", "size", "How much memory the main process needs, besides the children.", "128M"),
    Option(
        "machines",
        "list",
        "Options for machines with this much memory and more. Of the entries that a machine is large enough for, the"
        " largest counts.",
        (),
        elements="dict",
        options=MACHINE,
    ),
)

WORKER = (
    *_SERVICE,
    Option(
        "queues", "list", "The queues to consume from. Empty for the application's default queue.", (), elements="str"
    ),
    _CONCURRENCY,
    Option(
        "autoscale",
        "list",
        "C(celery worker --autoscale), such as C([8, 2]): the most and the least children. Celery adds some while tasks"
        " wait, and removes them afterwards. It replaces O(concurrency). Not in the pools threads and solo.",
        (),
        elements="int",
    ),
    Option(
        "pool",
        "str",
        "Celery's pool, C(worker_pool).",
        "prefork",
        choices=POOLS,
    ),
    Option("node_name", "str", "The name of the node, C(celery worker -n). Empty for C(NAME@%h).", ""),
    *_CELERY,
    *_CHILDREN,
    Option(
        "soft_time_limit",
        "duration",
        "After this time, C(SoftTimeLimitExceeded) is raised in a running task, Celery's C(task_soft_time_limit).",
    ),
    Option("time_limit", "duration", "After this time, a running task is killed, Celery's C(task_time_limit)."),
    *_LIMITS,
    Option(
        "profile",
        "dict",
        (
            "What O(concurrency), memory limits and others follow from, if they are not set: what a task needs, and how"
            " large the machine is at the time of the run.",
            "The workers of a host share its memory. What the profiles chose is shown in check mode.",
        ),
        {},
        options=PROFILE,
    ),
    *_SUPERVISION,
    *_RELEASE,
    Option(
        "stop_timeout",
        "duration",
        "C(TimeoutStopSec=): how long active tasks may take to finish. By default 30 s more than O(time_limit), or"
        " V(5min) without a time limit. A longer hard time limit that only the application sets, for all tasks or for"
        " one of them, is found by the preflight, and counts as well.",
    ),
    Option(
        "stale_workers",
        "str",
        (
            "What each start first does with stale workers: those of the same application, directory and node that"
            " no unit manages.",
            "V(report) lists them in the journal. V(stop) also asks them to finish their tasks and exit. V(kill) then"
            " kills those that still run after O(stale_workers_timeout).",
        ),
        "stop",
        choices=("report", "stop", "kill"),
    ),
    Option(
        "stale_workers_users",
        "list",
        "Further users, besides O(user), whose stale workers are handled.",
        (),
        elements="str",
    ),
    Option("stale_workers_timeout", "duration", "How long a stale worker may take to finish its tasks.", "60s"),
    *_CHECKS,
    _WRITABLE,
    Option(
        "sandbox",
        "dict",
        "Directives of systemd.exec(5) and their values, merged into the default. V(false) leaves one out.",
        SANDBOX,
    ),
    _UNENFORCED,
)

BEAT = (
    *_SERVICE,
    Option(
        "scheduler",
        "str",
        "The class of the scheduler as C(module:Class), Celery's C(beat_scheduler). Empty for the application's own.",
        "",
    ),
    Option(
        "max_interval",
        "duration",
        "The longest time between two looks at the schedule, Celery's C(beat_max_loop_interval).",
    ),
    Option(
        "lock",
        "bool",
        (
            "Whether only one beat of the application sends tasks at a time, by a key in the broker. The others wait.",
            "Only with Redis as the broker.",
        ),
        False,
    ),
    *_CELERY,
    *_LIMITS,
    *_SUPERVISION,
    *_RELEASE,
    Option("stop_timeout", "duration", "C(TimeoutStopSec=): how long beat may take to stop. By default V(30s)."),
    Option(
        "stale_beats",
        "str",
        (
            "What each start first does with stale beats: those of the same application and directory that no unit"
            " manages. Each of them would send every task once more.",
            "V(report) lists them in the journal. V(stop) also asks them to exit. V(kill) then kills those that still"
            " run after O(stale_beats_timeout).",
        ),
        "stop",
        choices=("report", "stop", "kill"),
    ),
    Option(
        "stale_beats_users",
        "list",
        "Further users, besides O(user), whose stale beats are handled.",
        (),
        elements="str",
    ),
    Option("stale_beats_timeout", "duration", "How long a stale beat may take to exit.", "60s"),
    *_CHECKS,
    _WRITABLE,
    Option(
        "sandbox",
        "dict",
        "Directives of systemd.exec(5) and their values, merged into the default. V(false) leaves one out.",
        BEAT_SANDBOX,
    ),
    _UNENFORCED,
)

# The options of each kind of service.
KINDS = {"worker": WORKER, "beat": BEAT}

# Which services of a play a module is about.
OF_A_PLAY = (
    Option("kind", "str", "The kind of the services.", "worker", choices=tuple(KINDS)),
    Option(
        "together_with",
        "list",
        (
            "The names of the play's services of other kinds, which no service of this kind may have.",
            "Without O(project), they also tell which services on the host are the play's.",
        ),
        (),
        elements="str",
    ),
)

# What the preflight compares the workers' memory limits with.
MEMORY = (
    Option("memory_reserved", "size", "The memory that the rest of the machine needs.", "512M"),
    Option(
        "memory_overcommit",
        "bool",
        "Whether the limits of all workers and the reserve may together be more than the machine's memory.",
        False,
    ),
)


_ENCODED = (
    "Environment variables, encoded by the filter P(evenkeel.celery.with_encoded_environment#filter). They are kept in"
    " a file that only root can read, and are never shown.",
    "A variable that is null is left out.",
)


def for_modules() -> Option:
    """The argument `instances` of the modules, with the options of all kinds.

    The environment is passed as one text, which plugins/filter/with_encoded_environment.py makes, and explains.
    """
    options: dict[str, Option] = {}
    for kind, table in KINDS.items():
        others = {option.name for other, its_table in KINDS.items() if other != kind for option in its_table}
        for option in table:
            only = () if option.name in others else (f"Only for a {kind}.",)
            options.setdefault(option.name, replace(option, description=(*option.sentences, *only)))
    # Their defaults depend on the kind: see complete().
    options["sandbox"] = replace(options["sandbox"], default=None)
    # If it is not set, the profile counts.
    options["concurrency"] = replace(options["concurrency"], default=None)
    return Option(
        "instances",
        "list",
        "The services, each with its options.",
        required=True,
        elements="dict",
        options=tuple(map(_encoded, options.values())),
    )


def _encoded(option: Option) -> Option:
    if option.name == "environment":
        return replace(option, type="str", default=None, description=_ENCODED)
    return replace(option, options=tuple(map(_encoded, option.options)))


def complete(instance: Mapping[str, Any], kind: str = "worker") -> Instance:
    """An instance with a value for each option, from a module's argument. Raises ValueError for its environment."""
    given = _decoded({name: value for name, value in instance.items() if value is not None})
    if given.get("profile"):
        machines = [_decoded(entry) for entry in given["profile"].get("machines") or ()]
        given["profile"] = {**given["profile"], "machines": machines}
    return {"kind": kind, "given": set(given), "chosen": {}, **with_defaults(KINDS[kind], given)}


def _decoded(given: Mapping[str, Any]) -> dict[str, Any]:
    return {**given, "environment": _decoded_environment(given.get("environment") or "")}


def _decoded_environment(environment: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.b64decode(environment, validate=True) or "{}")
        if isinstance(found, dict):
            return found
    except ValueError:
        pass
    # Without its value, and without the error that contains it.
    raise ValueError("environment is not encoded. Pass it through the filter evenkeel.celery.with_encoded_environment.")


def node_name(instance: Instance) -> str:
    """The node's name for `celery worker -n`; Celery expands %h to the host's name and splits at the first @."""
    return instance["node_name"] or f"{instance['name'].replace('@', '-')}@%h"


def most_children(instance: Instance) -> int | None:
    """How many tasks run at once at most; None if that is left to Celery."""
    return instance["autoscale"][0] if instance.get("autoscale") else instance.get("concurrency")


def time_limit(instance: Instance) -> float | None:
    """Seconds after which Celery kills a task; None if neither the option nor the setting gives them."""
    if instance["time_limit"] is not None:
        return parse_duration(instance["time_limit"])
    setting = instance["settings"].get("task_time_limit")
    return setting if isinstance(setting, (int, float)) else None


def application_limit(instance: Instance) -> float:
    """Seconds of the longest hard time limit that only the application sets, as far as it is known; 0 if none is."""
    return instance.get("application_limit") or 0
