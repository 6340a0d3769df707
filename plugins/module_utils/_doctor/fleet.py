# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The traps that show only when the facts of all hosts are seen together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from operator import itemgetter
from typing import Any

from .._common.quantities import format_duration
from .facts import Facts
from .findings import Finding, Trap, some
from .rules import RULES

DAY = 86400
APART = 5  # seconds between the clocks of two hosts
MOST = 20  # queues without a worker that are said one by one, of a broker


@dataclass(frozen=True)
class Member:
    """A service of a host, as the controller knows it."""

    host: str
    name: str
    kind: str
    facts: Facts

    @property
    def where(self) -> str:
        return f"{self.host}: {self.name}"

    @property
    def node(self) -> str | None:
        return self.facts["service"].get("node")

    @property
    def consumes(self) -> Collection[str]:
        return self.facts["service"].get("queues", ())

    @property
    def routes(self) -> Mapping[str, str]:
        """Queues to which the application's tasks go, each with one of these tasks."""
        return self.facts["settings"].get("routes", {})

    @property
    def entries(self) -> Mapping[str, str]:
        """Queues to which the beat sends, each with one of its entries."""
        return self.facts["service"].get("entries", {})

    @property
    def replies(self) -> Collection[Mapping[str, Any]]:
        """Those of the workers that run."""
        return self.facts["workers"].get("workers", ())


Found = Iterator[tuple[Collection[Member], Trap]]


def of_fleet(members: Collection[Member], ignored: Collection[str] = (), complete: bool = True) -> Iterator[Finding]:
    """What the rules say of these services of all hosts.

    complete: whether these are all services of the inventory. Otherwise it is not known who else consumes a queue.
    """
    rules = {rule.name: rule for rule in RULES if not rule.check and rule.name not in ignored}
    for name, check in CHECKS.items():
        if name in rules:
            for where, trap in check(members, complete):
                yield Finding.of(rules[name], (member.where for member in where), trap)


def _by_broker(members: Collection[Member]) -> dict[str, list[Member]]:
    """The services that use the same broker, where it is known which one it is."""
    groups: dict[str, list[Member]] = {}
    for member in members:
        broker = member.facts["queues"].get("broker")
        if broker:
            groups.setdefault(broker, []).append(member)
    return groups


# --- Names ------------------------------------------------------------------------------------------------------------


def _one_node_name(members: Collection[Member], _complete: bool) -> Found:
    for group in _by_broker(members).values():
        nodes: dict[str, list[Member]] = {}
        for member in group:
            if member.node:
                nodes.setdefault(member.node, []).append(member)
        running = {reply["name"]: reply["count"] for member in group for reply in member.replies}
        for node, alike in nodes.items():
            count = max(len(alike), running.get(node, 0))
            if count > 1:
                yield (
                    alike,
                    Trap(
                        f"{count} workers are called {node}. Monitoring and celery inspect show only one of them, and"
                        " one that is busy can look idle; remote control reaches both, or one of them by chance.",
                        f"Write node_name: {node.partition('@')[0] or 'worker'}@{{{{ inventory_hostname }}}}. If one of"
                        " them is not in this inventory, end it, or rename it with celery worker -n.",
                    ),
                )


# --- Queues -----------------------------------------------------------------------------------------------------------


def _queue_without_worker(members: Collection[Member], complete: bool) -> Found:
    for group in _by_broker(members).values() if complete else ():
        found = list(_unconsumed(group))
        for queue, reasons in found[:MOST]:
            yield (
                reasons[-1][0],
                Trap(
                    f"No worker consumes the queue {queue}, and {' and '.join(why for _where, why in reasons)}."
                    " These tasks are never executed.",
                    f"Write queues: [{queue}] for one of the workers, or correct its name where tasks are sent.",
                ),
            )
        further = [queue for queue, _reasons in found[MOST:]]
        if further:
            yield (
                group,
                Trap(
                    f"No worker consumes {len(further)} further queues to which tasks are sent: {some(further)}.",
                    "Write them to queues: of the workers, or correct their names where tasks are sent.",
                ),
            )


def _unconsumed(group: Collection[Member]) -> Iterator[tuple[str, list[tuple[Collection[Member], str]]]]:
    """Each queue of a broker that is filled and has no worker, with who fills it, and how."""
    consumed, fillers, all_are_known = _consumed(group), _fillers(group), _all_workers_are_known(group)
    for queue, messages, consumers in _queues(group):
        unconsumed = consumers == 0 if consumers is not None else all_are_known
        if queue in consumed or not unconsumed:
            continue
        waiting = f"{messages} messages wait there" if messages > 1 else "a message waits there"
        reasons = [*([(group, waiting)] if messages else []), *fillers.get(queue, ())]
        if reasons:
            yield queue, reasons


def _consumed(group: Collection[Member]) -> set[str]:
    """The queues that have a worker: one of the play's, or one that answers."""
    return {queue for member in group for queue in member.consumes} | {
        queue for member in group for reply in member.replies for queue in reply["queues"]
    }


def _queues(group: Collection[Member]) -> Iterator[tuple[str, int, int | None]]:
    """Each queue of a broker: its name, and how many messages and consumers it has. Hosts are asked one by one."""
    found: dict[str, tuple[int, int | None]] = {}
    for member in group:
        for queue in member.facts["queues"].get("queues", ()):
            messages, consumers = found.get(queue["name"], (queue["messages"], queue["consumers"]))
            if None not in (consumers, queue["consumers"]):
                consumers = max(consumers, queue["consumers"])
            found[queue["name"]] = min(messages, queue["messages"]), consumers
    for name in {queue for member in group for queue in member.entries} - set(found):
        found[name] = 0, None
    return ((name, *about) for name, about in sorted(found.items()))


def _all_workers_are_known(group: Collection[Member]) -> bool:
    """Whether one of the hosts got an answer of everybody who may consume from this Redis."""
    ours = {member.node for member in group}
    for member in group:
        told = member.facts["workers"]
        if "workers" in told and "listening" in told:
            silent = set(told.get("silent", ())) - ours
            if not silent and told["listening"] <= sum(reply["count"] for reply in told["workers"]):
                return True
    return False


def _fillers(group: Collection[Member]) -> dict[str, list[tuple[list[Member], str]]]:
    """By the queue: who sends tasks to it on purpose, and what."""
    routed: dict[str, list[Member]] = {}
    scheduled: dict[str, list[Member]] = {}
    for member in group:
        for queue in member.routes:
            # Without a route, a task goes to the default queue: many applications name another one where they send it.
            if queue != member.facts["settings"].get("default_queue"):
                routed.setdefault(queue, []).append(member)
        for queue in member.entries:
            scheduled.setdefault(queue, []).append(member)
    found: dict[str, list[tuple[list[Member], str]]] = {}
    for queue, senders in routed.items():
        found.setdefault(queue, []).append((senders, f"task {senders[0].routes[queue]} is routed to it"))
    for queue, senders in scheduled.items():
        entry = senders[0].entries[queue]
        found.setdefault(queue, []).append((senders, f"entry {entry} of the schedule is sent to it"))
    return found


# --- Clocks -----------------------------------------------------------------------------------------------------------


def _clocks_apart(members: Collection[Member], _complete: bool) -> Found:
    servers: dict[str, dict[str, tuple[Member, list[float]]]] = {}
    for member in members:
        redis = member.facts["redis"]
        if "run" in redis and len(redis.get("clock", ())) == 2:
            servers.setdefault(redis["run"], {}).setdefault(member.host, (member, redis["clock"]))
    for hosts in servers.values():
        # By how much the second one's clock is ahead of the first one's, at least.
        apart = [
            (one_clock[0] - other_clock[1], one, other)
            for (one, one_clock), (other, other_clock) in permutations(hosts.values(), 2)
        ]
        seconds, late, early = max(apart, key=itemgetter(0), default=(0, None, None))
        if seconds > APART:
            yield (
                [late, early],
                Trap(
                    f"The clock of {early.host} is ahead of that of {late.host} by {format_duration(seconds)}. Tasks"
                    " start before or after their ETA, or expire before their time, and Redis may deliver a task again"
                    " that is still being executed.",
                    "Install and start chrony or systemd-timesyncd on both: timedatectl must say System clock"
                    " synchronized: yes.",
                ),
            )


def _worker_without_tasks(members: Collection[Member], complete: bool) -> Found:
    for group in _by_broker(members).values() if complete else ():
        if not all(map(_fills_are_known, group)):
            continue
        filled = {queue for member in group for queue in (*member.routes, *member.entries)}
        filled |= {queue for queue, messages, _consumers in _queues(group) if messages}
        for member in group:
            replies = [reply for reply in member.replies if reply["name"] == member.node]
            if member.consumes and not filled & set(member.consumes) and any(map(_has_received_nothing, replies)):
                yield (
                    [member],
                    Trap(
                        f"The worker consumes {some(member.consumes)} and has received no task for a day. No task and"
                        " no schedule of this play leads there.",
                        "Write queues: with the queues that tasks are sent to, or remove the worker.",
                    ),
                )


def _has_received_nothing(reply: Mapping[str, Any]) -> bool:
    return reply["count"] == 1 and reply["uptime"] >= DAY and not reply["received"]


def _fills_are_known(member: Member) -> bool:
    return "entries" in member.facts["service"] if member.kind == "beat" else "routes" in member.facts["settings"]


CHECKS = {
    "one_node_name": _one_node_name,
    "clocks_apart": _clocks_apart,
    "queue_without_worker": _queue_without_worker,
    "worker_without_tasks": _worker_without_tasks,
}
