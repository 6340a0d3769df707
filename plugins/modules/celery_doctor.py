# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: celery_doctor
short_description: Look for the classic traps of Celery and its brokers
description:
  - Starts each service's own command like M(evenkeel.celery.celery_preflight), which ends before it consumes or sends a
    message. Asks the application for its effective settings, the broker for its settings and queues, and the workers
    that run for theirs. Applies the rules of docs/doctor.md to what it has learned.
  - No task is consumed or sent; workers are asked by Celery's remote control, as C(celery inspect) does. It works
    before the first deployment, too.
  - What can't be known is not warned of.
version_added: "0.2.0"
author:
  - The evenkeel developers (@evenkeel)
extends_documentation_fragment:
  - evenkeel.celery.services
  - evenkeel.celery.services.reserve
  - evenkeel.celery.doctor
attributes:
  check_mode:
    support: full
    description: It changes nothing.
  diff_mode:
    support: none
    description: It changes nothing.
seealso:
  - module: evenkeel.celery.celery_preflight
  - module: evenkeel.celery.celery_doctor_summary
"""

EXAMPLES = r"""
- name: Examine the workers
  evenkeel.celery.celery_doctor:
    instances: "{{ __celery_worker_instances }}"
    ignore: [redis_persistence]
"""

RETURN = r"""
findings:
  description: The traps, the worst first, each with its rule, severity, services, why it matters and what to write.
  returned: success
  type: list
  elements: dict
services:
  description: For each service by its name, its C(kind), and as C(facts) what its application, broker and workers say.
  returned: success
  type: dict
unknown:
  description: Why a service, or a part of it, could not be examined, by its name.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils._celery import profile
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.errors import errors
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import (
    MEMORY,
    OF_A_PLAY,
    complete,
    for_modules,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.secrets import shown
from ansible_collections.evenkeel.celery.plugins.module_utils._common import machine, systemd
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import argument_spec
from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import parse_size
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.options import DOCTOR
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import doctor


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instances": for_modules().argument(),
            **argument_spec((*OF_A_PLAY[:1], *MEMORY[:1], *DOCTOR)),
        },
        supports_check_mode=True,
    )
    params = module.params
    instances = []
    try:
        instances = [complete(instance, params["kind"]) for instance in params["instances"]]
        instances = profile.with_profiles(instances, machine.look(), parse_size(params["memory_reserved"]))
    except ValueError as error:
        module.fail_json(msg=shown(str(error), instances))
    wrong = [shown(error, instances) for error in errors(instances)]
    if wrong:
        module.fail_json(msg=f"Correct the inventory first. {' '.join(wrong)}")
    try:
        found = doctor.examine(instances, params["ignore"])
    except (systemd.SystemdError, OSError) as error:
        module.fail_json(msg=f"The host could not be examined: {shown(str(error), instances)}")
    module.exit_json(
        changed=False,
        findings=[finding.as_data() for finding in found.findings],
        services=found.services,
        unknown={name: shown(why, instances) for name, why in found.unknown.items()},
    )


if __name__ == "__main__":
    main()
