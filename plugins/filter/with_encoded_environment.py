# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a worker's environment into one text, of which Ansible shows nothing."""

from __future__ import annotations

import base64
import json

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: with_encoded_environment
short_description: A worker with its environment as one encoded text
version_added: "0.2.0"
author: The evenkeel developers (@evenkeel)
description:
  - The environments of its profile's machines are encoded in the same way.
  - Ansible masks each value of a secret dictionary wherever it occurs in a module's output, such as a V(3) in a size or
    a path. As one text, the environment is kept secret while the rest stays readable.
  - The text is the base64 of a JSON object. In the journal of a managed host, Ansible masks only secrets that it finds
    there unchanged. It escapes quotes, backslashes and letters that are not ASCII, and replaces parts of URLs, before
    it looks for them.
options:
  _input:
    description: One worker, with all of its options.
    type: dict
    required: true
"""

EXAMPLES = r"""
# {'name': 'w', 'environment': 'eyJBIjogMX0='}
worker: "{{ {'name': 'w', 'environment': {'A': 1}} | evenkeel.celery.with_encoded_environment }}"
"""

RETURN = r"""
_value:
  description: The worker; its C(environment) is a text.
  type: dict
"""


def with_encoded_environment(worker):
    for name in worker.get("environment") or {}:
        if not isinstance(name, str):
            raise AnsibleFilterError(
                f"environment: {name!r} is no text, as YAML gives words such as ON, and numbers, another meaning."
                " Put the name in quotes."
            )
    # As text: a value that is encrypted by itself (!vault), before ansible-core 2.19.
    environment = json.dumps(worker.get("environment") or {}, sort_keys=True, default=str)
    encoded = {**worker, "environment": base64.b64encode(environment.encode()).decode()}
    profile = worker.get("profile") or {}
    if profile.get("machines"):
        encoded["profile"] = {**profile, "machines": [with_encoded_environment(entry) for entry in profile["machines"]]}
    return encoded


class FilterModule:
    def filters(self):
        return {"with_encoded_environment": with_encoded_environment}
