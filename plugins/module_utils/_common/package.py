# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines that are installed on a host: packages of module_utils, in a directory that stands for module_utils there."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from .files import File

MODULE_UTILS = __name__.rpartition("._common")[0]


def engine(directory: str, packages: Iterable[str]) -> dict[str, File]:
    """All modules of these packages that are imported here. A loader reads them from Ansible's archive too."""
    found = {f"{directory}/__init__.py": File(b"")}
    wanted = tuple(f"{MODULE_UTILS}.{package}" for package in packages)
    for name, module in sorted(sys.modules.items()):
        if name in wanted or name.startswith(tuple(f"{package}." for package in wanted)):
            path = Path(directory, *name[len(MODULE_UTILS) + 1 :].split("."))
            path = path / "__init__.py" if hasattr(module, "__path__") else path.with_suffix(".py")
            found[str(path)] = File(module.__loader__.get_data(module.__file__))
    return found
