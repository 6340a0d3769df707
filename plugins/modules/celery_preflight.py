#!/usr/bin/python

# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: celery_preflight
short_description: Say what would keep Celery workers from running, before anything is touched
description:
  - Looks at users, directories, the Celery command, the application, its broker, the limits and the machine's memory,
    and fails with everything that is wrong, each in a sentence. Changes nothing.
  - Warns of workers of the same application and node that the next start will find, and says what it will do with them.
  - The application is loaded as C(celery -A) does it, as the worker's user, in its directory, with its environment.
version_added: "0.1.0"
author:
  - The evenkeel developers (@evenkeel)
extends_documentation_fragment:
  - evenkeel.celery.instances
options:
  memory_reserved:
    description: The memory that the rest of the machine needs, such as V(512M).
    type: str
    default: 512M
  memory_overcommit:
    description: Accept workers whose C(memory_max) and the reserve together are more than the machine's memory.
    type: bool
    default: false
  stale_workers:
    description: The text of C(stale_workers.py), which looks for leftovers; without it nobody does.
    type: str
attributes: {}
seealso:
  - module: evenkeel.celery.celery_workers
"""

EXAMPLES = r"""
- name: Look before touching anything
  evenkeel.celery.celery_preflight:
    instances: "{{ __celery_worker_instances }}"
    memory_reserved: 1G
"""

RETURN = r"""
problems:
  description: What is wrong, if anything is.
  returned: always
  type: list
  elements: str
leftovers:
  description: Workers of the same application and node that no unit of ours holds, and what the next start does.
  returned: success
  type: list
  elements: str
  sample:
    - "celery-worker: process 4242 of root, in no unit, is a worker of celery_app in /opt/slideshow/backend,
      node celery@vps, since 2026-11-18 09:12. No unit manages it: the next start asks it to finish (stale_workers:
      stop)."
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils import celery_preflight, leftovers
from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import parse_size
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_instances import (
    INSTANCES_SPEC,
    memory_budget,
    merged,
    mistakes,
    remarks,
    without_secrets,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instances": INSTANCES_SPEC,
            "memory_reserved": {"type": "str", "default": "512M"},
            "memory_overcommit": {"type": "bool", "default": False},
            "stale_workers": {"type": "str"},
        },
        supports_check_mode=True,
    )
    instances = [merged(instance) for instance in module.params["instances"]]
    problems = list(mistakes(instances))
    try:
        reserved = parse_size(module.params["memory_reserved"])
    except ValueError as error:
        problems.append(f"celery_worker_memory_reserved {error}.")
    if not problems:
        problems, seen = celery_preflight.look(instances)
        over = memory_budget(instances, reserved, celery_preflight.total_memory())
        if over and not module.params["memory_overcommit"]:
            problems.append(f"{over}\nLower memory_max, or set celery_worker_memory_overcommit to true.")
    problems = [without_secrets(problem, instances) for problem in problems]
    if problems:
        module.fail_json(msg="Nothing was touched. Mend this first:\n- " + "\n- ".join(problems), problems=problems)
    program = module.params["stale_workers"]
    found = list(leftovers.report(instances, program)) if program else []
    for remark in [*remarks(instances), *seen, *found]:
        module.warn(remark)
    module.exit_json(changed=False, problems=[], leftovers=found)


if __name__ == "__main__":
    main()
