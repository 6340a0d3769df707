#!/usr/bin/python
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: celery_monitoring
short_description: Measure a host's Celery services for Prometheus
version_added: "0.2.0"
author:
  - The evenkeel developers (@evenkeel)
description:
  - Installs a sampler, which a timer runs each minute as a user of its own, and settings for the exporters of
    Prometheus from Debian's packages, so that they listen on one address from their first start on.
  - The packages themselves are neither installed nor removed. RV(install) and RV(remove) tell which have to be. Run
    the module once more after that, as settings stay until their package is gone.
  - Each project has a configuration of its own. The sampler and the exporters are shared, and go with the last project.
  - Everything is checked before anything is changed, also in check mode.
extends_documentation_fragment:
  - evenkeel.celery.monitoring
  - evenkeel.celery.project
options:
  sampler:
    description: The text of the sampler.
    type: str
    required: true
  queues_script:
    description: The script with which the exporter of Redis counts queues.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Reports what would change.
  diff_mode:
    support: full
    description: Shows all files but the engine's and the one with the password of Redis.
"""

EXAMPLES = r"""
- name: Measure the workers of this host
  evenkeel.celery.celery_monitoring:
    services:
      - {name: celery-worker, kind: worker, queues: [celery]}
    sampler: "{{ lookup('ansible.builtin.file', 'evenkeel_sample.py') }}"
    queues_script: "{{ lookup('ansible.builtin.file', 'queues.lua') }}"
    exporters: [node]
"""

RETURN = r"""
changes:
  description: The files, users and units that were changed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/evenkeel/monitoring.json, evenkeel-sample.timer]
install:
  description: The packages that are wanted and not installed.
  returned: success
  type: list
  elements: str
  sample: [prometheus-node-exporter]
remove:
  description:
    - The packages that were installed for this module, and that nothing needs any more. They are stopped.
    - One whose configuration was changed, or on which another package depends, is not among them.
  returned: success
  type: list
  elements: str
  sample: []
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils._common import locks
from ansible_collections.evenkeel.celery.plugins.module_utils._common.files import File
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import argument_spec, hidden_characters
from ansible_collections.evenkeel.celery.plugins.module_utils._common.paths import STATE
from ansible_collections.evenkeel.celery.plugins.module_utils._common.project import PROJECT, project_errors
from ansible_collections.evenkeel.celery.plugins.module_utils._common.systemd import SystemdError
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.options import MEASURED, SERVICES_OF_A_HOST
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup import (
    check,
    leaving,
    plan,
    projects,
    sampler,
    wish,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.apply import Host, look
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.exporters import (
    EXPORTERS,
    REDIS_ENVIRONMENT,
)

OPTIONS = (SERVICES_OF_A_HOST, *MEASURED, *PROJECT)
LOCK = f"{STATE}/monitoring.lock"


def diff(before: dict[str, File | None], after: plan.Files) -> list[dict[str, str]]:
    """The engine would be long, and the environment is secret."""
    hidden = (REDIS_ENVIRONMENT, f"{sampler.DIRECTORY}/_engine")
    return [
        {"before_header": path, "after_header": path, "before": text(before[path]), "after": text(after[path])}
        for path in after
        if before[path] != after[path] and not path.startswith(hidden)
    ]


def text(file: File | None) -> str:
    return file.content.decode(errors="replace") if file else ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sampler": {"type": "str", "required": True},
            "queues_script": {"type": "str", "required": True},
            **argument_spec(OPTIONS),
        },
        supports_check_mode=True,
    )
    params, present = module.params, module.params["state"] == "present"
    wrong = [*hidden_characters(OPTIONS, params), *project_errors(params["project"])]
    redis, queues = None, params["queues_script"].encode() + b"\n"
    try:
        redis = wish.redis(params) if present and not wrong else None
    except ValueError as error:
        wrong.append(str(error))
    play = projects.Play(params["project"], wish.configuration(params, redis), params["take_over"])
    try:
        with contextlib.nullcontext() if module.check_mode else locks.hold(LOCK):
            there = projects.there()
            if not present and list(projects.left_alone(play, there)):
                module.warn(*projects.left_alone(play, there))
                module.exit_json(changed=False, changes=[], install=[], remove=[])
            if present and not wrong:
                wrong += dict.fromkeys(check.errors(params, play.wanted, redis, queues))  # both exporters may have one
                wrong += projects.errors(play, there)
            if wrong:
                module.fail_json(msg="Nothing was changed. Correct this first:\n- " + "\n- ".join(wrong), errors=wrong)
            for warning in check.warnings(play.wanted) if present else ():
                module.warn(warning)
            configurations = plan.after(play.project, play.wanted if present else None, there)
            programs = plan.Programs(sampler.program(params["sampler"]), queues)
            drop_ins = look(dict.fromkeys(exporter.drop_in for exporter in EXPORTERS.values()))
            exporters = plan.exporters(configurations)
            unneeded = leaving.unneeded(drop_ins, exporters)
            removed = [name for name, reason in unneeded.items() if not reason]
            after = plan.files(play.project, configurations, programs, redis, drop_ins)
            # The record that a package is ours, and what has it listen on one address, go after the package.
            after |= {path: drop_ins[path] for path in (EXPORTERS[name].drop_in for name in removed)}
            before = look(after)
            host = Host(after, before, exporters, removed)
            changes = host.differences()
            warnings = list(leaving.warnings(unneeded, play.project, there, configurations))
            if changes and not module.check_mode:
                host.apply()
    except (locks.Busy, SystemdError, OSError) as error:
        module.fail_json(msg=str(error), errors=[])
    for warning in warnings:
        module.warn(warning)
    module.exit_json(
        changed=bool(changes),
        changes=changes,
        install=[EXPORTERS[name].package for name in exporters if not EXPORTERS[name].installed],
        remove=[EXPORTERS[name].package for name in removed],
        diff=diff(before, after),
    )


if __name__ == "__main__":
    main()
