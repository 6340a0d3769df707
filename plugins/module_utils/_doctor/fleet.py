# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The traps that show only when the facts of all hosts are seen together."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .facts import Facts
from .findings import Finding


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


def of_fleet(members: Collection[Member], ignored: Collection[str] = ()) -> Iterator[Finding]:
    """What the rules say of these services of all hosts."""
    yield from ()
