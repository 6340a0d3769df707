#!/usr/bin/python
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: celery_ping
short_description: Ask running Celery workers whether they answer
version_added: "0.2.0"
author:
  - The evenkeel developers (@evenkeel)
description:
  - Runs C(celery inspect ping) of each worker's own application, as the worker's user and with its environment, and
    tells whether this worker answers, and how many processes it has.
  - With O(task), sends that task, and tells whether a worker of this host has executed it.
  - What it runs follows from the worker's unit, of which the environment has to be in files (C(EnvironmentFile=)), as
    in the units of P(evenkeel.celery.celery_worker#role).
options:
  workers:
    description: The names of the workers' units, without C(.service).
    type: list
    elements: str
    required: true
  task:
    description:
      - The full name of a task that needs no arguments, to send once to each application. It is really executed.
      - V(celery.accumulate) is a task of Celery's own that each worker knows and that does nothing.
      - Empty for none.
    type: str
    default: ""
  patience:
    description: For how many seconds to wait until the task is done.
    type: float
    default: 30
attributes:
  check_mode:
    support: full
    description: It changes nothing. O(task) is not sent.
  diff_mode:
    support: none
    description: It changes nothing.
"""

EXAMPLES = r"""
- name: Ask a worker, and have a task executed
  evenkeel.celery.celery_ping:
    workers: [celery-worker]
    task: celery.accumulate
"""

RETURN = r"""
pings:
  description:
    - What was found, by the worker's name. Whether it answers, why not, its C(children) and the C(concurrency) that its
      command asks for, and whether the task is done. Null if it can't be known.
  returned: success
  type: dict
  sample:
    celery-worker: {answers: true, why: "", children: 1, concurrency: 1, task_done: true}
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils._common.systemd import SystemdError
from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import printable
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.journal import JournalError
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.ping import ask


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "workers": {"type": "list", "elements": "str", "required": True},
            "task": {"type": "str", "default": ""},
            "patience": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    task = module.params["task"]
    if task.startswith("-") or not task.isprintable():
        module.fail_json(msg=f"task: {printable(task)} is no task's name. Set one such as celery.accumulate.")
    try:
        found = ask(module.params["workers"], "" if module.check_mode else task, module.params["patience"])
    except (SystemdError, JournalError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(task) and not module.check_mode, pings={name: asdict(each) for name, each in found.items()}
    )


if __name__ == "__main__":
    main()
