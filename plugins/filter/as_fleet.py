# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus's alert rules and targets take from the inventory."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup import fleet

DOCUMENTATION = r"""
name: as_fleet
short_description: What alert rules take from an inventory
version_added: "0.2.0"
author: The evenkeel developers (@evenkeel)
description:
  - Turns the variables of all hosts into what the role P(evenkeel.celery.monitoring#role) writes into alert rules and
    into the list of targets, in Prometheus's own words. Fails with all errors in queues, tasks and alerts.
positional: variables, project
options:
  _input:
    description: The variables of each host, by its name.
    type: dict
    required: true
  variables:
    description: The variables of the role. A host that lacks one of them has this value.
    type: dict
    required: true
  project:
    description: The project's name, or empty.
    type: str
    default: ""
"""

EXAMPLES = r"""
fleet: "{{ {'web1': hostvars['web1']} | evenkeel.celery.as_fleet(variables) }}"
"""

RETURN = r"""
_value:
  description: The variables of the role's templates.
  type: dict
"""


def as_fleet(inventory, variables, project=""):
    try:
        return fleet.fleet(fleet.completed(inventory, variables), project)
    except fleet.InventoryError as error:
        errors = str(error).replace("\n", "\n- ")
        raise AnsibleFilterError(f"Correct this in the inventory first:\n- {errors}") from None


class FilterModule:
    def filters(self):
        return {"as_fleet": as_fleet}
