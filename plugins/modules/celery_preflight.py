#!/usr/bin/python

# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: celery_preflight
short_description: Check whether Celery workers and beats can run, before anything is touched
description:
  - Checks users, directories, the Celery command, the application, its broker, the limits and the machine's memory, and
    fails with all errors, each in a sentence. Changes nothing.
  - Warns of the classic traps of Celery and its brokers that the service is set up for (docs/doctor.md).
  - Warns of stale workers and beats of the same application, and tells what the next start will do with them.
  - Lists what a beat will send, to which queue, and when.
  - Each service's own command is started in a transient unit of systemd's, with the user, environment, paths and
    sandbox of its unit. It ends before it consumes or sends a message. Services that differ only in names, queues,
    numbers and memory limits share one such start.
  - A process that systemd starts with the same limits and directives of the sandbox tells which of them have no effect
    here. It is Python's own and root's, and gets no directive that names a file of the application's.
    O(instances[].unenforced) says whether that is a warning or an error.
  - The start may take O(instances[].start_timeout), and 25 s more for the broker, the result backend, the
    databases of a Django application and what the doctor asks. Whatever the application leaves
    running is killed.
version_added: "0.1.0"
author:
  - The evenkeel developers (@evenkeel)
extends_documentation_fragment:
  - evenkeel.celery.services
  - evenkeel.celery.services.together
  - evenkeel.celery.services.reserve
  - evenkeel.celery.services.overcommit
  - evenkeel.celery.project
  - evenkeel.celery.doctor
options:
  stale_workers:
    description:
      - The text of C(stale_workers.py), which finds stale workers and beats. If it is not set, they are not looked for.
    type: str
  consumed_queues:
    description:
      - The queues from which workers consume. A beat's task that is sent to another queue causes a warning.
      - If it is empty, the queues are not known, and nothing is said about them.
    type: list
    elements: str
    default: []
attributes: {}
seealso:
  - module: evenkeel.celery.celery_services
"""

EXAMPLES = r"""
- name: Check the workers before anything is changed
  evenkeel.celery.celery_preflight:
    instances: "{{ __celery_worker_instances }}"
    memory_reserved: 1G
"""

RETURN = r"""
errors:
  description: The errors, each in a sentence.
  returned: always
  type: list
  elements: str
checked:
  description: What was checked and found in order, a line for each subject.
  returned: success
  type: list
  elements: str
  sample:
    - "celery-worker: the broker redis://127.0.0.1:6379/0 answers"
profiles:
  description: What the profiles chose for this machine, a line for each worker.
  returned: success
  type: list
  elements: str
  sample:
    - "album: concurrency 2, memory_max 1428M, max_memory_per_child 650M (3891M of memory, 2 processors)"
schedule:
  description: What the beats will send, a line for each entry.
  returned: success
  type: list
  elements: str
  sample:
    - "album-beat: photos: album.tasks.process_photos to queue celery, next at 2026-11-28 02:00 Europe/Berlin,
      2026-11-28 01:00 UTC"
new:
  description: The services that are not deployed on this host yet.
  returned: success
  type: list
  elements: str
stale_workers:
  description: Processes of the same application that the unit does not manage, and what the next start does with them.
  returned: success
  type: list
  elements: str
  sample:
    - "celery-worker: process 4242 of root, in no unit, is a worker of celery_app in /opt/slideshow/backend,
      node celery@vps, since 2026-11-18 09:12. No unit manages it: the next start asks it to finish (stale_workers:
      stop)."
time_limits:
  description:
    - The longest hard time limit that only the application sets for its tasks, in seconds and at most a day, by the
      workers' names. V(0) if it sets none; a worker whose application could not be asked is not in it.
    - For O(evenkeel.celery.celery_services#module:time_limits).
  returned: success
  type: dict
  sample: {trainer: 1800}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils._celery import profile
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.errors import errors, warnings
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.memory import memory_budget
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import (
    MEMORY,
    OF_A_PLAY,
    complete,
    for_modules,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.secrets import shown
from ansible_collections.evenkeel.celery.plugins.module_utils._common import machine, systemd
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import argument_spec
from ansible_collections.evenkeel.celery.plugins.module_utils._common.project import PROJECT, project_errors
from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import parse_size
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy import plan, projects, store
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.options import DOCTOR
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import host, stale_workers
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.deployed import deployed


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instances": for_modules().argument(),
            **argument_spec((*OF_A_PLAY, *MEMORY, *PROJECT, *DOCTOR)),
            "stale_workers": {"type": "str"},
            "consumed_queues": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        instances = [complete(instance, module.params["kind"]) for instance in module.params["instances"]]
    except ValueError as error:
        module.fail_json(msg=str(error))
    wrong, found, here = project_errors(module.params["project"]), host.Findings(), machine.look()
    try:
        play = projects.play(module.params["kind"], module.params, instances)
        services = projects.there(deployed)
        others = projects.memory_of_others(play, services)
        reserved = parse_size(module.params["memory_reserved"])
        instances = profile.with_profiles(instances, here, reserved + sum(others.values()))
    except (plan.PlanError, OSError) as error:
        module.fail_json(msg=f"The host could not be checked: {shown(str(error), instances)}", errors=[])
    except ValueError as error:
        wrong.append(f"celery_{module.params['kind']}_memory_reserved {error}.")
    wrong = [*errors(instances), *wrong]
    if not wrong:
        try:
            found = host.look(
                instances,
                module.params["consumed_queues"],
                module.params["together_with"],
                module.params["ignore"],
            )
        except (systemd.SystemdError, OSError) as error:
            module.fail_json(msg=f"The host could not be checked: {shown(str(error), instances)}", errors=[])
        wrong = [*found.errors, *projects.clashes(play, services)]
        found.warnings += projects.left_alone(play, services)
        over = memory_budget(instances, reserved, here.memory, others)
        if over and not module.params["memory_overcommit"]:
            wrong.append(f"{over}\nLower memory_max, or set celery_{module.params['kind']}_memory_overcommit to true.")
    wrong = [shown(error, instances) for error in wrong]
    if wrong:
        module.fail_json(msg="Nothing was changed. Correct this first:\n- " + "\n- ".join(wrong), errors=wrong)
    program = module.params["stale_workers"]
    stale = list(stale_workers.report(instances, program, module.params["together_with"])) if program else []
    for instance in instances:
        instance["application_limit"] = found.time_limits.get(instance["name"])
    for warning in [*warnings(instances), *profile.warnings(instances, here), *found.warnings, *stale]:
        module.warn(shown(warning, instances))
    module.exit_json(
        changed=False,
        errors=[],
        profiles=list(profile.lines(instances, here)),
        new=[instance["name"] for instance in instances if not store.recall(instance["name"]).ours],
        checked=[shown(each, instances) for each in found.checked],
        schedule=[shown(each, instances) for each in found.schedule],
        stale_workers=[shown(each, instances) for each in stale],
        time_limits=found.time_limits,
    )


if __name__ == "__main__":
    main()
