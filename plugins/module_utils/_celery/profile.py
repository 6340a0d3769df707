# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the workers' profiles choose for this machine, of the options that are not set.

Pure: takes the workers and the machine. The workers share the machine: each gets one child, then the one that has the
smallest part of what it may have gets one more, for as long as there is memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .._common.machine import Machine
from .._common.options import Option, with_defaults
from .._common.quantities import format_size, parse_size
from .options import MACHINE, PROFILE, Instance, most_children

_NEARLY = 7 / 8  # of its memory is what a machine reports: the firmware and the kernel have the rest
_HEADROOM = 1.3  # how much more memory a child may use than a task needs
_ONLY_IN_PREFORK = ("max_memory_per_child", "max_tasks_per_child")


@dataclass
class _Share:
    """A worker's share of the machine. Sizes are in bytes."""

    main: int
    child: int
    children: int
    most: int
    limit: int | None  # memory_max, if it is set

    @property
    def memory(self) -> int:
        return self.with_children(self.children) if self.limit is None else self.limit

    def with_children(self, count: int) -> int:
        return self.main + self.child * count

    def can_grow(self, room: int) -> bool:
        one_more = self.with_children(self.children + 1)
        return self.children < self.most and (self.child <= room if self.limit is None else one_more <= self.limit)


def with_profiles(instances: list[Instance], machine: Machine, reserved: int) -> list[Instance]:
    """The instances with what their profiles choose.

    If an option is not valid, nothing is chosen: see errors() and errors.py.
    reserved: bytes for everything else on the machine.
    """
    if any(instance["kind"] != "worker" for instance in instances):
        return [{**instance, "chosen": {}} for instance in instances]
    try:
        sized = [_with({**instance, "chosen": {}}, _of_machine(instance, machine)) for instance in instances]
        shares = [_share(instance, machine) for instance in sized]
        _divide(shares, machine.memory - reserved)
        return [_with(instance, _of_share(instance, share)) for instance, share in zip(sized, shares)]
    except (ValueError, ZeroDivisionError):
        return instances


def lines(instances: Iterable[Instance], machine: Machine) -> Iterator[str]:
    """A line for each worker whose profile has chosen something."""
    for instance in instances:
        options = dict(instance["chosen"])
        variables = sorted(options.pop("environment", {}))  # without their values
        what = [*(f"{option} {value}" for option, value in options.items()), *(f"environment {n}" for n in variables)]
        if what:
            yield f"{instance['name']}: {', '.join(what)} ({_about(machine)})"


def warnings(instances: Iterable[Instance], machine: Machine) -> Iterator[str]:
    for instance in instances:
        entries = _profile(instance)["machines"]
        if entries and not _of_machine(instance, machine):
            least = min((entry["memory"] for entry in entries), key=parse_size)
            yield (
                f"{instance['name']}: profile: machines has no entry for less than {least}, but this machine has"
                f" {_about(machine)}. Add one with memory: 0."
            )


def errors(instance: Instance) -> Iterator[str]:
    """The errors in a worker's profile."""
    profile = _profile(instance)
    tables = [(PROFILE, profile), *((MACHINE, entry) for entry in profile["machines"])]
    for table, given in tables:
        for option in table:
            if given.get(option.name) is not None:
                yield from _wrong(option, given[option.name])


def _wrong(option: Option, value: Any) -> Iterator[str]:
    if option.type == "size":
        try:
            if parse_size(value) < 2**20 and option.name == "task_memory":
                yield f"profile: task_memory {value} is too small. Write what a task needs, such as 500M."
        except ValueError as error:
            yield f"profile: {option.name} {error}."
    elif option.type == "int" and value < 1:
        yield f"profile: {option.name} {value} is too small. Use 1 or more."


def _of_machine(instance: Instance, machine: Machine) -> dict[str, Any]:
    """The entry of `machines` for this machine; empty if there is none."""
    entries = {parse_size(entry["memory"]): entry for entry in _profile(instance)["machines"]}
    enough = [memory for memory in entries if memory * _NEARLY <= machine.memory]
    return entries[max(enough)] if enough else {}


def _share(instance: Instance, machine: Machine) -> _Share:
    profile, limit = _profile(instance), instance["memory_max"] and parse_size(instance["memory_max"])
    if instance.get("autoscale") or "concurrency" in instance["given"] or "concurrency" in instance["chosen"]:
        least = most = most_children(instance)
    else:
        least, most = 1, _most(instance, profile["max_concurrency"], machine.processors)
    if not profile["task_memory"]:  # It counts with its limit, if it has one.
        return _Share(0, 0, least, most, limit)
    child = _whole_mebi(parse_size(profile["task_memory"]) * _HEADROOM)
    return _Share(_whole_mebi(parse_size(profile["main_memory"])), child, least, most, limit)


def _most(instance: Instance, wanted: int | None, processors: int) -> int:
    if instance["pool"] == "solo":
        return 1
    if wanted and instance["pool"] in ("gevent", "eventlet"):  # whose tasks wait for most of the time
        return wanted
    return min(wanted or processors, processors)


def _divide(shares: list[_Share], memory: int) -> None:
    room = memory - sum(share.memory for share in shares)
    while growing := [share for share in shares if share.can_grow(room)]:
        smallest = min(growing, key=lambda share: share.children / share.most)
        smallest.children += 1
        room -= smallest.child if smallest.limit is None else 0


def _of_share(instance: Instance, share: _Share) -> dict[str, Any]:
    profile = _profile(instance)
    if not profile["task_memory"]:
        return {"concurrency": share.children} if profile["max_concurrency"] else {}
    return {
        "concurrency": share.children,
        "memory_max": format_size(share.memory),
        "max_memory_per_child": format_size(min(share.child, share.memory)),
    }


def _with(instance: Instance, options: dict[str, Any]) -> Instance:
    """The instance with those of these options that are not set."""
    taken = {"memory", "environment", *instance["given"], *instance["chosen"]}
    if instance["pool"] != "prefork":
        taken.update(_ONLY_IN_PREFORK)
    if instance.get("autoscale"):
        taken.add("concurrency")
    new = {name: value for name, value in options.items() if value is not None and name not in taken}
    own, variables = instance["environment"], options.get("environment") or {}
    added = {name: value for name, value in variables.items() if name not in own}
    chosen = {**instance["chosen"], **new, **({"environment": added} if added else {})}
    return {**instance, **new, "environment": {**added, **own}, "chosen": chosen}


def _profile(instance: Instance) -> dict[str, Any]:
    return with_defaults(PROFILE, instance.get("profile") or {})


def _whole_mebi(size: float) -> int:
    return math.ceil(size / 2**20) * 2**20


def _about(machine: Machine) -> str:
    return f"{machine.memory // 2**20}M of memory, {machine.processors} processor{'s' * (machine.processors != 1)}"
