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
_ENOUGH = "512M"  # instead of the limits, which may be too low for a process to answer
_SUPERVISION = re.compile(f"(?!Memory|OOM|Tasks)(?:{transient.SUPERVISION.pattern})")

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
# The directives that need a namespace of this kind.
_NAMESPACES = {
    "mnt": (
        *("PrivateDevices", "PrivateTmp", "ProtectControlGroups", "ProtectHome", "ProtectKernelLogs"),
        *("ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "ProcSubset"),
        *("PrivateMounts", "ReadOnlyPaths", "InaccessiblePaths", "NoExecPaths", "TemporaryFileSystem"),
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

Facts = Mapping[str, Any]  # of effects_program.py


def without_effect(instances: list[Instance]) -> dict[str, list[str]]:
    """By the services' names, what has no effect, each in a sentence."""
    return probe.for_each(instances, _question, _look)


def _question(instance: Instance) -> str:
    options = [instance[name] for name in (*_LIMITS, "oom_policy", "oom_score_adj", "sandbox", "user")]
    return json.dumps(options, sort_keys=True)


def _look(group: list[Instance]) -> list[str]:
    # In root's name and without a word of the application, so that the answer is to be trusted.
    command = ["/usr/bin/python3", "-I", "-c", _SOURCE]
    result = transient.run("evenkeel-effects", command, properties(group[0]), SECONDS)
    try:
        facts = json.loads(result.output)
    except ValueError:
        why = printable(result.error.strip()) or f"{result.outcome} {result.status}".strip()
        return [f"it could not be checked which limits and sandbox directives have an effect on this host: {why}."]
    return list(sentences(instance=group[0], facts=facts, own=effects_program.look()))


def properties(instance: Instance) -> list[str]:
    """What is asked about, as systemd-run takes it."""
    asked = {*_LIMITS.values(), "OOMPolicy", "OOMScoreAdjust"}
    wanted = [
        (name, _ENOUGH if name in _LIMITS.values() and name not in instance["sandbox"] and value else value)
        for name, value in systemd_unit.sections(instance)["Service"]
        if name in asked or (name in instance["sandbox"] and not _SUPERVISION.fullmatch(name))
    ]
    return [line.rstrip("\n").replace("%%", "%") for line in unit_text.lines(wanted)]


def sentences(instance: Instance, facts: Facts, own: Facts) -> Iterator[str]:
    """What has no effect. facts: of a process with the service's directives; own: of one without them."""
    wanted = {name: value for name, value in instance["sandbox"].items() if value is not False and value is not None}
    yield from _memory(instance, facts)
    yield from _control_groups(wanted, facts)
    yield from _numbers(instance, wanted, facts)
    yield from _namespaces(instance, wanted, facts, own)
    filtered = facts["status"].get("Seccomp_filters", 1) > own["status"].get("Seccomp_filters", 0)
    calls = [name for name in _SYSTEM_CALLS if name in wanted]
    if calls and not (filtered and facts["status"].get("Seccomp") == 2):
        yield f"sandbox: {_and(calls)} will have no effect, as this host's kernel can't filter system calls (seccomp)."
    denied = str(wanted.get("IPAddressDeny", ""))
    if ("any" in denied or "localhost" in denied) and "IPAddressAllow" not in wanted and facts["local"]:
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
            f" v{facts['cgroup']}. If it is a container, delegate it; else use cgroup v2."
        )


def _shows(name: str, facts: Facts) -> bool:
    second, first = _FILES[name]
    said = [facts["files"].get(file) for file in (first if facts["cgroup"] == 1 else second)]
    return any(text is not None and not _UNLIMITED.fullmatch(text) for text in said)


def _numbers(instance: Instance, wanted: Mapping[str, Any], facts: Facts) -> Iterator[str]:
    adjusted = wanted.get("OOMScoreAdjust", instance["oom_score_adj"])
    option = "sandbox: OOMScoreAdjust" if "OOMScoreAdjust" in wanted else "oom_score_adj"
    asked = [
        (option, adjusted, [str(adjusted)], [facts["oom_score_adj"]], "SYS_RESOURCE"),
        ("sandbox: Nice", wanted.get("Nice"), [str(wanted.get("Nice"))], [facts["nice"]], "SYS_NICE"),
    ]
    for name, value in wanted.items():
        limits = facts["limits"].get(name[len("Limit") :]) if name.startswith("Limit") else None
        asked.append((f"sandbox: {name}", value, _limits(value), limits or [], "SYS_RESOURCE"))
    for name, value, numbers, there, capability in asked:
        others = [has for wish, has in zip(numbers, there) if re.fullmatch(r"[+-]?\d+", wish) and int(wish) != has]
        if others:
            yield (
                f"{name} {value} will have no effect: on this host, its processes have {others[0]}. If it is a"
                f" container, give it the capability {capability}."
            )


def _limits(value: Any) -> list[str]:
    """The soft and the hard limit."""
    soft, colon, hard = str(value).partition(":")
    return ["-1" if each == "infinity" else each for each in (soft, hard if colon else soft)]


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
