# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a host gave no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import printable

LONGEST = 200  # characters


def reason(result: Mapping[str, Any]) -> str:
    """What the result of a module says that has not answered, fit to be shown."""
    # What ended the module before it could answer is the last line of its errors.
    written = str(result.get("module_stderr") or "").strip().splitlines()[-1:]
    said = "".join(written) or str(result.get("msg") or "no reason is known").removeprefix("Task failed: ")
    said = printable(said.strip().rstrip("."), LONGEST)
    return f"it can't be reached: {said}" if result.get("unreachable") else said
