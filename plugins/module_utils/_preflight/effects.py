# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a service's limits and sandbox directives have no effect on this host.

systemd ignores what the kernel, or the container that it is in, does not let it do. So a process that systemd starts
with the same directives tells what they have done for it (effects_program.py).
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._celery.options import Instance
from .._common import transient
from .._common.texts import printable
from .._targets import systemd_unit, unit_text
from . import effects_program, probe

SECONDS = 30  # for the process to answer
_SOURCE = inspect.getsource(effects_program)
_LIMITS = {"memory_max": "MemoryMax", "memory_high": "MemoryHigh", "memory_swap_max": "MemorySwapMax"}

# The files of control groups v2 and v1 in which a directive shows; () where systemd does not support it.
_FILES = {
    "MemoryMax": (("memory.max",), ("memory.limit_in_bytes",)),
    "MemoryHigh": (("memory.high",), ()),
    "MemorySwapMax": (("memory.swap.max",), ()),
    "MemoryLow": (("memory.low",), ()),
    "MemoryMin": (("memory.min",), ()),
    "TasksMax": (("pids.max",), ("pids.max",)),
    "CPUQuota": (("cpu.max",), ("cpu.cfs_quota_us",)),
    "CPUWeight": (("cpu.weight",), ("cpu.shares",)),
    "IOWeight": (("io.weight", "io.bfq.weight"), ("blkio.weight",)),
    "AllowedCPUs": (("cpuset.cpus",), ()),
    "AllowedMemoryNodes": (("cpuset.mems",), ()),
}
_UNLIMITED = re.compile(r"|max( \d+)?|-1|9\d{18}")
_PATHS = ("ReadOnlyPaths", "InaccessiblePaths", "NoExecPaths", "TemporaryFileSystem")
# The directives that need a namespace of this kind.
_NAMESPACES = {
    "mnt": (
        *("PrivateDevices", "PrivateTmp", "ProtectControlGroups", "ProtectHome", "ProtectKernelLogs"),
        *("ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "ProcSubset"),
        *("PrivateMounts", *_PATHS),
    ),
    "uts": ("ProtectHostname",),
    "net": ("PrivateNetwork",),
    "ipc": ("PrivateIPC",),
    "user": ("PrivateUsers",),
}
_SYSTEM_CALLS = (
    *("SystemCallFilter", "SystemCallArchitectures", "RestrictAddressFamilies", "RestrictNamespaces"),
    *("RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute"),
)

CHECKED = {
    *("OOMScoreAdjust", "Nice", "IPAddressDeny", *_FILES, *_SYSTEM_CALLS),
    *(name for names in _NAMESPACES.values() for name in names),
}  # and each Limit…
# The process gets these directives and no others, as it is root's: for another user, systemd can't filter system calls
# in every container. Those that name files, programs or variables could have it run what the application can write.
_ASKED = re.compile("|".join((*CHECKED, "OOMPolicy", "SystemCallErrorNumber", "Limit[A-Z]+")))
# What it gets instead of a directive's own value: limits with which it can answer, no path, and not the service's
# exceptions (IPAddressAllow).
_INSTEAD = {
    **dict.fromkeys(("MemoryMax", "MemoryHigh", "MemorySwapMax"), "512M"),
    "IPAddressDeny": "any",
}

Facts = Mapping[str, Any]  # of effects_program.py


def without_effect(instances: list[Instance]) -> dict[str, list[str]]:
    """By the services' names, what has no effect, each in a sentence."""
    if not instances:
        return {}
    # Not of this process: Ansible may be in a sandbox.
    own = _ask([])
    answers = probe.for_each(
        instances, lambda instance: "\n".join(properties(instance)), lambda group: _ask(properties(group[0]))
    )
    return {instance["name"]: _understood(instance, answers[instance["name"]], own) for instance in instances}


def _ask(asked: list[str]) -> transient.Result:
    command = ["/usr/bin/python3", "-IS", "-c", _SOURCE]
    return transient.run(f"{probe.units()}-effects", command, asked, SECONDS)


def properties(instance: Instance) -> list[str]:
    """What is asked about, as systemd-run takes it. Services of which it is the same have the same answer."""
    wanted = dict(
        _asked(name, value) for name, value in systemd_unit.sections(instance)["Service"] if _ASKED.fullmatch(name)
    )
    return [line.rstrip("\n").replace("%%", "%") for line in unit_text.lines(sorted(wanted.items()))]


def _asked(name: str, value: Any) -> tuple[str, Any]:
    if value in (None, "", "infinity"):
        return name, value
    return ("PrivateMounts", True) if name in _PATHS else (name, _INSTEAD.get(name, value))


def _understood(instance: Instance, result: transient.Result, own: transient.Result) -> list[str]:
    try:
        return list(sentences(instance, json.loads(result.output), json.loads(own.output)))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        # It is no answer, or not all of it.
        why = printable(probe.why_ended(own if own.status else result)).rstrip(".")
    return [
        "it could not be checked which limits and sandbox directives have an effect on this host, as a process with"
        f" them gave no answer: {why}."
    ]


def sentences(instance: Instance, facts: Facts, own: Facts) -> Iterator[str]:
    """What has no effect. facts: of a process with the service's directives; own: of one without them.

    Raises all kinds of errors if these are no facts.
    """
    wanted = {name: value for name, value in instance["sandbox"].items() if value is not False and value is not None}
    yield from _memory(instance, facts)
    yield from _control_groups(wanted, facts)
    yield from _numbers(instance, wanted, facts)
    yield from _limits(wanted, facts, own)
    yield from _namespaces(instance, wanted, facts, own)
    filtered = facts["status"].get("Seccomp_filters", 1) > own["status"].get("Seccomp_filters", 0)
    calls = [name for name in _SYSTEM_CALLS if name in wanted]
    if calls and not (filtered and facts["status"].get("Seccomp") == 2):
        yield f"sandbox: {_and(calls)} will have no effect, as this host's kernel can't filter system calls (seccomp)."
    if wanted.get("IPAddressDeny") and facts["local"]:
        yield (
            "sandbox: IPAddressDeny will have no effect, as systemd can't filter addresses on this host (BPF). If it is"
            " a container, give it the capabilities BPF and NET_ADMIN."
        )


def _memory(instance: Instance, facts: Facts) -> Iterator[str]:
    idle = [option for option, name in _LIMITS.items() if instance[option] is not None and not _shows(name, facts)]
    policy = instance["oom_policy"]
    if (policy == "kill" and facts["files"].get("memory.oom.group") != "1") or (
        policy == "stop" and "memory.events" not in facts["files"]
    ):
        idle.append(f"oom_policy {policy}")
    if not idle:
        return
    has_memory = "memory.limit_in_bytes" if facts["cgroup"] == 1 else "memory.events"
    if has_memory not in facts["files"]:
        why = (
            "this host's services have no memory controller. Switch it on (cgroup_enable=memory on the kernel's command"
            " line; DisableControllers= of a slice), or, in a container, delegate it"
        )
    elif facts["cgroup"] == 1:
        why = "this host uses cgroup v1. Use memory_max, or cgroup v2"
    else:
        why = "this host's kernel does not limit it. Write swapaccount=1 on its command line, or install a newer one"
    yield f"{_and(idle)} will have no effect, as {why}."


def _control_groups(wanted: Mapping[str, Any], facts: Facts) -> Iterator[str]:
    idle = [
        name for name in _FILES if str(wanted.get(name, "infinity")) not in ("infinity", "") and not _shows(name, facts)
    ]
    if idle:
        yield (
            f"sandbox: {_and(idle)} will have no effect, as the services of this host have no such controller of cgroup"
            f" v{1 if facts['cgroup'] == 1 else 2}. If it is a container, delegate it; else use cgroup v2."
        )


def _shows(name: str, facts: Facts) -> bool:
    second, first = _FILES[name]
    said = [facts["files"].get(file) for file in (first if facts["cgroup"] == 1 else second)]
    return any(text is not None and not _UNLIMITED.fullmatch(text) for text in said)


def _numbers(instance: Instance, wanted: Mapping[str, Any], facts: Facts) -> Iterator[str]:
    adjusted = wanted.get("OOMScoreAdjust", instance["oom_score_adj"])
    option = "sandbox: OOMScoreAdjust" if "OOMScoreAdjust" in wanted else "oom_score_adj"
    for name, value, has, capability in (
        (option, adjusted, facts["oom_score_adj"], "SYS_RESOURCE"),
        ("sandbox: Nice", wanted.get("Nice"), facts["nice"], "SYS_NICE"),
    ):
        if re.fullmatch(r"[+-]?\d+", str(value)) and int(value) != has:
            yield _other(name, value, has, f"If it is a container, give it the capability {capability}.")


def _limits(wanted: Mapping[str, Any], facts: Facts, own: Facts) -> Iterator[str]:
    for name, value in wanted.items():
        if not name.startswith("Limit"):
            continue
        soft, colon, hard = str(value).partition(":")
        for wish, has in zip((soft, hard if colon else soft), facts["limits"].get(name[len("Limit") :], ())):
            if _has_limit(name, wish, has, own):
                continue
            remedy = "If it is a container, give it the capability SYS_RESOURCE."
            if name == "LimitNOFILE" and wish.isdecimal() and int(wish) > own["nr_open"]:
                remedy = f"The kernel allows {own['nr_open']}: ask for less, or raise the sysctl fs.nr_open."
            yield _other(f"sandbox: {name}", value, has, remedy)
            break


def _has_limit(name: str, wish: str, has: int, own: Facts) -> bool:
    if wish != "infinity":
        return not wish.isdecimal() or int(wish) == has  # with a unit, or a nice level: not understood
    # The kernel has no unlimited number of files, so systemd sets the highest that it can.
    return has == -1 or (name == "LimitNOFILE" and (has >= own["nr_open"] or has == own["limits"]["NOFILE"][1]))


def _other(name: str, value: Any, has: int, remedy: str) -> str:
    return f"{name} {value} will have no effect: on this host, its processes have {has:d}. {remedy}"


def _namespaces(instance: Instance, wanted: Mapping[str, Any], facts: Facts, own: Facts) -> Iterator[str]:
    shared = [kind for kind in _NAMESPACES if facts["namespaces"][kind] == own["namespaces"][kind]]
    idle = {kind: [name for name in _NAMESPACES[kind] if name in wanted] for kind in shared}
    if idle.get("mnt"):
        yield (
            "the sandbox has no effect, as systemd can't set it up on this host: tasks can write wherever user"
            f" {instance['user']} can. If it is a container, give it the capability SYS_ADMIN; see"
            " systemd-analyze security."
        )
        idle.pop("uts", None)
    others = [name for kind, names in idle.items() if kind != "mnt" for name in names]
    if others:
        yield (
            f"sandbox: {_and(others)} will have no effect, as systemd can't make a namespace for it on this host. If it"
            " is a container, give it the capability SYS_ADMIN, and for PrivateNetwork NET_ADMIN."
        )


def _and(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
