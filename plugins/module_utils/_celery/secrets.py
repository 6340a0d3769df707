# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks the secrets of a service's environment in whatever we print."""

from __future__ import annotations

import re

from .options import Instance

SHORTEST = 8  # characters; a shorter value is unlikely to be a secret, and occurs in too many other words
PASSWORD_IN_URL = re.compile(r"://[^/@\s]*:([^/@\s]+)@")


def without_secrets(text: str, instances: list[Instance]) -> str:
    """The text with the values of the instances' environments, and the passwords in them, replaced by asterisks."""
    values = {str(value) for instance in instances for value in instance["environment"].values()}
    values |= {password for value in values for password in PASSWORD_IN_URL.findall(value)}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, "********")
    return text
