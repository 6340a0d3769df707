# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a worker's environment into one JSON text."""

from __future__ import annotations

import json

DOCUMENTATION = r"""
name: with_json_environment
short_description: A worker with its environment as one JSON text
version_added: "0.1.0"
author: The evenkeel developers (@evenkeel)
description:
  - Ansible masks each value of a secret dictionary wherever it occurs in a module's output, such as a V(3) in a size or
    a path. As one text, the environment is kept secret while the rest stays readable.
options:
  _input:
    description: One worker, with all of its options.
    type: dict
    required: true
"""

EXAMPLES = r"""
# {'name': 'w', 'environment': '{"A": 1}'}
worker: "{{ {'name': 'w', 'environment': {'A': 1}} | evenkeel.celery.with_json_environment }}"
"""

RETURN = r"""
_value:
  description: The worker; its C(environment) is a text.
  type: dict
"""


def with_json_environment(worker):
    return {**worker, "environment": json.dumps(worker.get("environment") or {}, sort_keys=True)}


class FilterModule:
    def filters(self):
        return {"with_json_environment": with_json_environment}
