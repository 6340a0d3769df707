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
  - Unit, environment and watchdog of a worker go out together, as a generation; the last two that ran are kept there.
  - Only workers whose files changed are restarted, one after another, each only after the one before is ready.
    A worker that does not come up, or does not stay up for its O(instances[].stay_up), gets its files of before back
    and runs with them; the module then fails with the reason and the journal's last lines.
  - What a run that ended too early (killed, its connection lost, the host rebooted) left half done, the next redoes.
  - Workers that this module deployed and that are not in O(instances) any more finish their tasks and are removed.
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
      - V(previous) brings back the generation that ran before the present one; before the first one ran the original.
        A second time changes nothing more.
      - V(original) brings back the units of O(instances) as they were before this module replaced them.
    type: str
    choices: [present, absent, previous, original]
    default: present
  restore_original:
    description: Whether a worker that is removed leaves the unit of its name that was there before, if one was.
    type: bool
    default: false
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
- name: Go back by one generation
  evenkeel.celery.celery_workers:
    instances: "{{ __celery_worker_instances }}"
    state: previous
"""

RETURN = r"""
msg:
  description: What was done and why, a line for each worker; after a failure what went wrong, with the journal.
  returned: always
  type: str
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
    generation:
      description: The generation that is in place afterwards; null if none of ours is.
      type: str
  sample:
    - name: celery-worker
      why: changed
      files: [/etc/systemd/system/celery-worker.service]
      runs: true
      generation: 0d1b7c3f5a6e9482
"""

import contextlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils import celery_unit, worker_host, worker_store
from ansible_collections.evenkeel.celery.plugins.module_utils._common import systemd
from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import parse_duration
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
    plan_previous,
    show_file,
    summary,
    wanted_files,
)


def plan(module: AnsibleModule, instances: list[celery_unit.Instance]) -> tuple[list[Change], dict[str, Found]]:
    names = [instance["name"] for instance in instances]
    stay_up = {instance["name"]: parse_duration(instance["stay_up"]) for instance in instances}
    state, restore_original = module.params["state"], module.params["restore_original"]
    found = worker_host.find(names + worker_store.known())
    if state == "present":
        wanted = {instance["name"]: wanted_files(instance, module.params["watchdog"]) for instance in instances}
        return plan_present(wanted, found, stay_up, restore_original), found
    if state == "absent":
        return plan_absent(found, restore_original), found
    if state == "previous":
        return plan_previous(names, found, stay_up), found
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
            "state": {"type": "str", "choices": ["present", "absent", "previous", "original"], "default": "present"},
            "restore_original": {"type": "bool", "default": False},
            "watchdog": {"type": "str"},
            "stale_workers": {"type": "str"},
        },
        required_if=[("state", "present", ("watchdog", "stale_workers"))],
        supports_check_mode=True,
    )
    instances = [merged(instance) for instance in module.params["instances"]]
    try:
        wrong = list(mistakes(instances))
        if wrong:
            raise PlanError("\n".join(wrong))
        with contextlib.nullcontext() if module.check_mode else worker_host.only_one_run():
            result = run(module, instances)
    except worker_host.NotUp as error:
        message = without_secrets(str(error), instances)
        module.fail_json(msg=message, changes=summary(error.done), changed=bool(error.done))
    except (PlanError, systemd.SystemdError, worker_host.Busy) as error:
        module.fail_json(msg=without_secrets(str(error), instances), changes=[], changed=False)
    module.exit_json(**result)


def run(module: AnsibleModule, instances: list[celery_unit.Instance]) -> dict[str, Any]:
    changes, found = plan(module, instances)
    program = module.params["stale_workers"]
    stale_workers = File(program.encode()) if program is not None else None
    installed = worker_store.read(celery_unit.STALE_WORKERS)
    refresh = module.params["state"] == "present" and installed != stale_workers
    refuse_bad_units(changes)
    diff = describe(changes, found)
    if refresh:
        diff["before"] += show_file(celery_unit.STALE_WORKERS, installed)
        diff["after"] += show_file(celery_unit.STALE_WORKERS, stale_workers)
    if not module.check_mode:
        if refresh:
            worker_store.write(celery_unit.STALE_WORKERS, stale_workers)
        worker_host.carry_out(changes, found)
    told = "\n".join(f"{change.name}: {change.why}" for change in changes) or "Nothing to do."
    return {"changed": bool(changes) or refresh, "changes": summary(changes), "msg": told, "diff": diff}


if __name__ == "__main__":
    main()
