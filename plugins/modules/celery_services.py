#!/usr/bin/python

# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: celery_services
short_description: Run Celery workers and beats as systemd services
description:
  - Gives each service a systemd unit, an environment file that only root can read, and its programs, such as the
    watchdog that reports to systemd.
  - An original unit of the same name is kept under C(/var/lib/evenkeel/services) and can be restored.
  - Unit, environment and programs of a service are deployed together, as a generation. The current and the previous
    generation are kept there.
  - Only services whose files changed, or whose code (O(instances[].restart_on)), are restarted, one after another. Each
    has started and stayed up for its O(instances[].stay_up) before the next is touched. If one fails, it is rolled
    back, those after it are left as they are, and the module fails with the reason and the journal's last lines.
  - If a run is interrupted (killed, its connection lost, the host rebooted), the next run completes it.
  - Services of this kind and project that are not in O(instances) any more finish their tasks and are removed. Those of
    other projects are never touched.
version_added: "0.2.0"
author:
  - The evenkeel developers (@evenkeel)
extends_documentation_fragment:
  - evenkeel.celery.services
  - evenkeel.celery.services.together
  - evenkeel.celery.services.reserve
  - evenkeel.celery.project
options:
  state:
    description:
      - V(present) runs the services of O(instances) and removes the others of this kind and project.
      - V(absent) removes all services of this kind and project. Without O(project), O(instances) tells which they are.
      - V(previous) rolls back to the generation before the current one or, if there is none, to the original unit. A
        second rollback changes nothing more.
      - V(original) rolls back to the original units of O(instances).
      - V(restarted) restarts the services of O(instances) that this module deployed, as they are. It changes no file.
        One that somebody has stopped stays so, with a warning; one that has failed is started.
    type: str
    choices: [present, absent, previous, original, restarted]
    default: present
  names:
    description: With O(state=restarted), only these of O(instances). Empty for all.
    type: list
    elements: str
    default: []
  restore_original:
    description: Whether the original unit, if there was one, is restored when a service is removed.
    type: bool
    default: false
  programs:
    description:
      - The texts of the programs that services of this kind need, by their file names.
      - A worker needs C(evenkeel_watchdog.py), a beat C(evenkeel_beat.py), which they load. Both need
        C(stale_workers.py), which a unit of its own runs before each start.
      - Required with O(state=present).
    type: dict
  time_limits:
    description:
      - The longest hard time limit that only the application sets for its tasks, by the workers' names, as
        M(evenkeel.celery.celery_preflight) returns them. A worker gets more time than that to stop.
      - A worker that is not in it keeps at least the time to stop that its deployed unit has.
    type: dict
    default: {}
attributes: {}
notes:
  - Needs root and systemd. Supports check mode and diff mode. The values of the environment are never shown.
seealso:
  - module: evenkeel.celery.celery_preflight
"""

EXAMPLES = r"""
- name: Roll back by one generation
  evenkeel.celery.celery_services:
    instances: "{{ __celery_worker_instances }}"
    state: previous

- name: Restart all workers, one after another
  evenkeel.celery.celery_services:
    instances: "{{ __celery_worker_instances }}"
    state: restarted
"""

RETURN = r"""
profiles:
  description: What the profiles chose for this machine, a line for each worker.
  returned: success
  type: list
  elements: str
msg:
  description: What was done and why, a line for each service; after a failure the reason, with the journal.
  returned: always
  type: str
changes:
  description: What was done (in check mode, what would be), one entry for each service.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The service's name.
      type: str
    why:
      description: The reason for the change.
      type: str
    files:
      description: The files that were written or removed.
      type: list
      elements: str
    runs:
      description: Whether the service runs afterwards.
      type: bool
    generation:
      description: The generation that is in place afterwards; null after a removal or a rollback to the original unit.
      type: str
  sample:
    - name: celery-worker
      why: changed
      files: [/etc/systemd/system/celery-worker.service]
      runs: true
      generation: 0d1b7c3f5a6e9482
"""

import contextlib
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils._celery import profile
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.errors import errors
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.names import name_errors
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import (
    MEMORY,
    OF_A_PLAY,
    Instance,
    complete,
    for_modules,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.secrets import shown
from ansible_collections.evenkeel.celery.plugins.module_utils._common import machine, systemd
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import argument_spec
from ansible_collections.evenkeel.celery.plugins.module_utils._common.paths import unit_path
from ansible_collections.evenkeel.celery.plugins.module_utils._common.project import PROJECT, project_errors
from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import parse_duration, parse_size
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy import (
    apply,
    directories,
    plan,
    projects,
    report,
    store,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import code_state
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.deployed import deployed, has_beat
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.kinds import KINDS, Kind

STATES = ["present", "absent", "previous", "original", "restarted"]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instances": for_modules().argument(),
            **argument_spec((*OF_A_PLAY, *MEMORY[:1], *PROJECT)),
            "state": {"type": "str", "choices": STATES, "default": "present"},
            "names": {"type": "list", "elements": "str", "default": []},
            "restore_original": {"type": "bool", "default": False},
            "programs": {"type": "dict"},
            "time_limits": {"type": "dict", "default": {}},
        },
        required_if=[("state", "present", ("programs",))],
        supports_check_mode=True,
    )
    kind = KINDS[module.params["kind"]]
    try:
        instances = [complete(instance, kind.name) for instance in module.params["instances"]]
    except ValueError as error:
        module.fail_json(msg=str(error))
    here = machine.look()
    try:
        if module.params["state"] == "present":
            play = projects.play(kind.name, module.params, instances)
            others = projects.memory_of_others(play, projects.there(deployed))
            reserved = parse_size(module.params["memory_reserved"]) + sum(others.values())
            instances = profile.with_profiles(instances, here, reserved)
            wrong = list(errors(instances))
        else:
            wrong = [error for instance in instances for error in name_errors(instance["name"])]
        wrong += project_errors(module.params["project"])
        if wrong:
            raise plan.PlanError("\n".join(wrong))
        if not module.check_mode:
            directories.reopen(path for instance in instances for path in kind.paths(instance["name"]))
        with contextlib.nullcontext() if module.check_mode else apply.only_one_run():
            result = run(module, kind, instances)
    except apply.NotUpError as error:
        message = shown(str(error), instances)
        module.fail_json(msg=message, changes=report.summary(error.done), changed=bool(error.done))
    except (plan.PlanError, systemd.SystemdError, apply.BusyError, ValueError, OSError) as error:
        module.fail_json(msg=shown(str(error), instances), changes=[], changed=False)
    module.exit_json(**result, profiles=list(profile.lines(instances, here)))


def run(module: AnsibleModule, kind: Kind, instances: list[Instance]) -> dict[str, Any]:
    play = projects.play(kind.name, module.params, instances)
    services = projects.there(deployed)  # again: another run may have changed them before this one had the lock
    if module.params["state"] != "absent" and (errors := list(projects.clashes(play, services))):
        raise plan.PlanError("\n".join(errors))
    owned = projects.owned(play, services)
    names = owned if module.params["state"] == "absent" else {*owned, *play.applications}
    found = apply.find({name: kind.paths(name) for name in names})
    owner = store.Owner(kind.name, projects.project(play, services))
    changes = plan_changes(module, kind, instances, found)
    if module.params["state"] == "present":
        changes += plan.plan_project(play.applications, found, owner.project, changes)
    refuse_bad_units(changes)
    refuse_second_beats(changes, services)
    diff = report.diff(changes, found)
    if not module.check_mode:
        apply.carry_out(changes, found, owner, module.warn)
        apply.remove_unused(kind.former)
    for warning in projects.left_alone(play, services):
        module.warn(shown(warning, instances))
    message = "\n".join(f"{change.name}: {change.why}" for change in changes) or "Nothing to do."
    return {"changed": bool(changes), "changes": report.summary(changes), "msg": message, "diff": diff}


def plan_changes(
    module: AnsibleModule, kind: Kind, instances: list[Instance], found: dict[str, plan.Found]
) -> list[plan.Change]:
    names = [instance["name"] for instance in instances]
    state, restore_original = module.params["state"], module.params["restore_original"]
    if state == "absent":
        return plan.plan_absent(found, restore_original)
    if state == "original":
        return rolled_back(module, plan.plan_original(names, found), names, found)
    stay_up = {instance["name"]: seconds_up(instance) for instance in instances}
    if state == "previous":
        return rolled_back(module, plan.plan_previous(names, found, stay_up), names, found)
    code = state_of_code(instances)
    if state == "restarted":
        named = [name for name in names if name in (module.params["names"] or names)]
        changes, left_alone = plan.plan_restart(named, found, stay_up, code)
        for sentence in left_alone:
            module.warn(sentence)
        return changes
    for instance in instances:
        instance["application_limit"] = application_limit(module, instance["name"])
    wanted = {instance["name"]: kind.files(instance, module.params["programs"]) for instance in instances}
    return plan.plan_present(wanted, found, stay_up, restore_original, code)


def rolled_back(
    module: AnsibleModule, changes: list[plan.Change], names: list[str], found: dict[str, plan.Found]
) -> list[plan.Change]:
    for sentence in plan.without_earlier_state(names, found, changes):
        module.warn(sentence)
    return changes


def refuse_second_beats(changes: list[plan.Change], services: projects.There) -> None:
    """An original unit may run a beat in its worker, beside the one that took its place."""
    for change in changes:
        unit = change.files.get(unit_path(change.name))
        mine = services.get(change.name)
        if not (
            change.run and mine and unit and not plan.is_ours(unit) and has_beat(unit.content.decode(errors="replace"))
        ):
            continue
        for name, service in services.items():
            if (
                service.kind == "beat"
                and service.application.known
                and not service.application.differs(mine.application)
            ):
                raise plan.PlanError(
                    f"{change.name}: its original unit runs a beat within the worker (-B), and {name} on this host is a"
                    " beat of the same application: every task would be sent twice. Remove that beat first: set"
                    " celery_beat_state to absent, and run the role celery_beat."
                )


def state_of_code(instances: list[Instance]) -> dict[str, code_state.State]:
    code, errors = code_state.look(instances)
    if errors:
        raise plan.PlanError("\n".join(errors))
    return code


def application_limit(module: AnsibleModule, name: str) -> float:
    """Seconds of the application's time limit or, if it is not known, the one that the deployed unit allows for."""
    limit = module.params["time_limits"].get(name)
    if limit is None:
        return deployed(name).time_limit
    try:
        return parse_duration(limit)
    except ValueError as error:
        raise plan.PlanError(f"{name}: time_limits {error}.") from None


def seconds_up(instance: Instance) -> float:
    try:
        return parse_duration(instance["stay_up"])
    except ValueError as error:
        raise plan.PlanError(f"{instance['name']}: stay_up {error}.") from None


def refuse_bad_units(changes: list[plan.Change]) -> None:
    written = {path: file for change in changes if change.current for path, file in change.files.items() if file}
    units = {Path(path).stem: file for path, file in written.items() if path.endswith(".service")}
    complaints = systemd.verify({name: unit.content.decode() for name, unit in units.items()})
    if complaints:
        raise plan.PlanError(
            "\n".join(
                f"{name}: systemd rejects this unit. Correct the option that it names:\n{text}"
                for name, text in complaints.items()
            )
        )


if __name__ == "__main__":
    main()
