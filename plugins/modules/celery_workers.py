#!/usr/bin/python

# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: celery_workers
short_description: Run Celery workers as systemd services
description:
  - Gives each worker a unit, an environment file that only root reads, and a watchdog that answers systemd.
  - A unit of the same name that was there before is kept under C(/var/lib/evenkeel/workers) and can come back.
  - Only workers whose files changed are restarted, one after another, each only after the one before is ready.
    A worker that does not come up gets its files of before back and runs with them; the module then fails.
  - Workers that this module deployed and that are not in O(instances) any more are stopped and removed.
version_added: "0.1.0"
author:
  - The evenkeel developers (@evenkeel)
extends_documentation_fragment:
  - evenkeel.celery.instances
options:
  state:
    description:
      - V(present) runs the workers of O(instances) and removes the others that this module deployed.
      - V(absent) removes all workers that this module deployed; O(instances) is not looked at.
      - V(original) brings back the units of O(instances) as they were before this module replaced them.
    type: str
    choices: [present, absent, original]
    default: present
  watchdog:
    description: The text of C(evenkeel_watchdog.py), which each worker loads. Required with O(state=present).
    type: str
  stale_workers:
    description: The text of C(stale_workers.py), which runs before each start. Required with O(state=present).
    type: str
attributes: {}
notes:
  - Needs root and systemd. Supports check mode and diff mode; the environment's values are shown in neither.
seealso:
  - module: evenkeel.celery.celery_preflight
"""

EXAMPLES = r"""
- name: Bring back the units of before
  evenkeel.celery.celery_workers:
    instances: "{{ __celery_worker_instances }}"
    state: original
"""

RETURN = r"""
changes:
  description: What was done (in check mode, what would be), one entry a worker.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The worker's name.
      type: str
    why:
      description: What made the change necessary.
      type: str
    files:
      description: The files that were written or removed.
      type: list
      elements: str
    runs:
      description: Whether the worker runs afterwards.
      type: bool
  sample:
    - name: celery-worker
      why: changed
      files: [/etc/systemd/system/celery-worker.service]
      runs: true
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils import celery_unit, systemd, worker_host
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_instances import (
    INSTANCES_SPEC,
    merged,
    mistakes,
    without_secrets,
)
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_workers import (
    Change,
    File,
    Found,
    PlanError,
    describe,
    plan_absent,
    plan_original,
    plan_present,
    show_file,
    summary,
    wanted_files,
)


def plan(module: AnsibleModule, instances: list[celery_unit.Instance]) -> tuple[list[Change], dict[str, Found]]:
    names = [instance["name"] for instance in instances]
    state = module.params["state"]
    owned = worker_host.known()
    if state == "present":
        found = worker_host.find(names + owned)
        wanted = {instance["name"]: wanted_files(instance, module.params["watchdog"]) for instance in instances}
        return plan_present(wanted, found), found
    if state == "absent":
        found = worker_host.find(owned)
        return plan_absent(found), found
    found = worker_host.find(set(names) & set(owned))
    return plan_original(names, found), found


def refuse_bad_units(changes: list[Change]) -> None:
    texts = {}
    for change in changes:
        unit = change.files.get(celery_unit.unit_path(change.name))
        if unit and change.deployed:
            texts[change.name] = unit.content.decode()
    complaints = systemd.verify(texts)
    if complaints:
        raise PlanError(
            "\n".join(f"{name}: systemd would not take its unit:\n{text}" for name, text in complaints.items())
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instances": INSTANCES_SPEC,
            "state": {"type": "str", "choices": ["present", "absent", "original"], "default": "present"},
            "watchdog": {"type": "str"},
            "stale_workers": {"type": "str"},
        },
        required_if=[("state", "present", ("watchdog", "stale_workers"))],
        supports_check_mode=True,
    )
    instances = [merged(instance) for instance in module.params["instances"]]
    done: list[Change] = []
    try:
        wrong = list(mistakes(instances))
        if wrong:
            raise PlanError("\n".join(wrong))
        changes, found = plan(module, instances)
        program = module.params["stale_workers"]
        stale_workers = File(program.encode()) if program is not None else None
        installed = worker_host.read(celery_unit.STALE_WORKERS)
        refresh = module.params["state"] == "present" and installed != stale_workers
        refuse_bad_units(changes)
        if not module.check_mode:
            if refresh:
                worker_host.write(celery_unit.STALE_WORKERS, stale_workers)
            for change in changes:
                worker_host.carry_out(change, found[change.name])
                done.append(change)
    except (PlanError, systemd.SystemdError, worker_host.NotUp) as error:
        module.fail_json(msg=without_secrets(str(error), instances), changes=summary(done), changed=bool(done))
    diff = describe(changes, found)
    if refresh:
        diff["before"] += show_file(celery_unit.STALE_WORKERS, installed)
        diff["after"] += show_file(celery_unit.STALE_WORKERS, stale_workers)
    module.exit_json(changed=bool(changes) or refresh, changes=summary(changes), diff=diff)


if __name__ == "__main__":
    main()
