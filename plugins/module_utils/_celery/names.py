# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names a service may have: its unit, its files and its directories are called so, beside others."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .._common.texts import printable

_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,199}")
# systemd.unit(5); a name that ends so would look like another unit's.
_UNIT_TYPES = (
    *(".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path", ".timer", ".slice"),
    *(".scope", ".d", ".wants", ".requires", ".upholds"),
)
# Beside the services' directories in /usr/local/lib/evenkeel/ are our programs, and the engine of older versions.
_PROGRAMS = (".py", ".pyc")
_RESERVED = ("stuck_jobs",)
_PREFIXES = ("evenkeel-", "systemd-")


def name_errors(name: str) -> Iterator[str]:
    """Why a service can't have this name."""
    shown = printable(name)
    if not _VALID.fullmatch(name) or name.endswith(("@", *_UNIT_TYPES)):
        yield (
            f"name '{shown}' is not a valid unit name. Use up to 200 letters, digits, '-', '_', '.' and '@'. Start it"
            " with a letter or digit, and leave out '.service'."
        )
    elif name.endswith(_PROGRAMS) or name in _RESERVED or name.startswith(_PREFIXES):
        yield f"name '{shown}' is reserved for files of evenkeel.celery or units of systemd. Set another name."
