# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether memory limits fit the application and the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .._common.quantities import parse_size
from .options import Instance, most_children

_LIMITS = ("max_memory_per_child", "memory_max")


class Footprint(NamedTuple):
    """The memory that an application uses before its first task, in bytes."""

    main: int  # of the main process
    child: int  # what each child adds to it, without the pages that both share
    peak: int  # of a child, shared pages included: what Celery compares with max_memory_per_child

    def with_children(self, count: int) -> int:
        return self.main + self.child * count


NOTHING_KNOWN = Footprint(0, 0, 0)
AT_LEAST = 1  # child, if concurrency is not set: Celery then starts one for each processor


def _limits(instance: Instance) -> tuple[int | None, ...]:
    return tuple(parse_size(instance[option]) if instance.get(option) else None for option in _LIMITS)


def memory_errors(instance: Instance, footprint: Footprint) -> Iterator[str]:
    """Limits that are too low for this application."""
    child, limit = _limits(instance)
    concurrency = most_children(instance) or AT_LEAST
    if child and child <= footprint.peak:
        yield (
            f"{_named(instance, 'max_memory_per_child')} is not above the {_mebi(footprint.peak)} that a"
            " child uses once the application is imported: each child would be replaced after its first task. Raise it"
            " well above that, or import less."
        )
    if limit and limit < footprint.with_children(concurrency):
        children = f", {_mebi(footprint.child)} more for each of {concurrency} children" if footprint.child else ""
        yield (
            f"{_named(instance, 'memory_max')} is below the {_mebi(footprint.with_children(concurrency))} that the"
            f" service uses once the application is imported ({_mebi(footprint.main)} for the main process{children})."
            " Raise it, or import less."
        )


def memory_warnings(instance: Instance, footprint: Footprint) -> Iterator[str]:
    """Limits of which the kernel's may be reached before Celery's."""
    child, limit = _limits(instance)
    if child and limit:
        concurrency = most_children(instance) or AT_LEAST
        grown = footprint.main + (child - footprint.peak + footprint.child) * concurrency
        if grown > limit:
            yield (
                f"{_named(instance, 'memory_max')} is below the {_mebi(grown)} that the worker uses when each of its"
                f" {concurrency} children has grown to max_memory_per_child {instance['max_memory_per_child']}."
                " The kernel may kill a child before Celery replaces it. Raise memory_max, or lower"
                " max_memory_per_child or concurrency."
            )


def memory_budget(
    instances: list[Instance], reserved: int, total: int, others: Mapping[str, int] | None = None
) -> str | None:
    """A table of how much memory each service may use, if their sum is more than the machine has; None if it fits.

    reserved: bytes for everything else on the machine.
    total: bytes that the machine has.
    others: bytes that other services of ours on this machine may use.
    """
    others = others or {}
    limits = {i["name"]: i["memory_max"] and parse_size(i["memory_max"]) for i in instances}
    needed = sum(size or 0 for size in (*limits.values(), *others.values())) + reserved
    if needed <= total or not any(limits.values()):
        return None
    services = [(name, _mebi(size) if size else "no limit") for name, size in limits.items()]
    rest = [*((name, _mebi(size)) for name, size in others.items()), ("reserved for the rest", _mebi(reserved))]
    sums = [("needed", needed), ("the machine has", total), ("missing", needed - total)]
    rows = [*services, *rest, ("", ""), *((name, _mebi(size)) for name, size in sums)]
    width = max(len(name) for name, size in rows)
    table = [f"  {name:<{width}}  {size:>8}" if name else "  " + "-" * (width + 10) for name, size in rows]
    also = ", that of the host's other services" if others else ""
    heading = f"The services' memory_max{also} and the reserve are together more than the machine's memory:"
    return "\n".join([heading, *table])


def _named(instance: Instance, option: str) -> str:
    by_profile = ", which its profile chose," if option in instance.get("chosen", {}) else ""
    return f"{option} {instance[option]}{by_profile}"


def _mebi(size: int) -> str:
    return f"{-(-size // 2**20)}M"
