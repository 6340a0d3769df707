#!/usr/bin/python
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: job_cleanup_preflight
short_description: Check whether the clean-up of stuck jobs can work
version_added: "0.2.0"
author:
  - The evenkeel developers (@evenkeel)
description:
  - Checks the options against the databases, and whether cron's user may write to them. Changes nothing.
  - All errors are listed at once.
extends_documentation_fragment:
  - evenkeel.celery.job_cleanup.cron
  - evenkeel.celery.project
options:
  databases:
    description:
      - The databases, as in M(evenkeel.celery.sqlite_stuck_jobs) and M(evenkeel.celery.postgresql_stuck_jobs).
      - They are of SQLite if C(path) is set, of PostgreSQL if C(login_db), C(service) or C(environment_file) is.
    type: list
    elements: dict
    required: true
  once:
    description: The clean-ups to do once; each has the name and all the options of one of O(databases).
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    support: full
    description: Changes nothing, with or without check mode.
  diff_mode:
    support: none
    description: Nothing changes.
"""

EXAMPLES = r"""
- name: Check a database before anything is changed
  evenkeel.celery.job_cleanup_preflight:
    databases:
      - name: jobs
        path: /opt/slideshow/data/jobs.db
        table: jobs
    cron_state: present
"""

RETURN = r"""
errors:
  description: What is wrong, and what to do next.
  returned: always
  type: list
  elements: str
  sample: ["once: there is no database 'jbos'. Did you mean 'jobs'?"]
"""

from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import argument_spec, hidden_characters
from ansible_collections.evenkeel.celery.plugins.module_utils._common.project import PROJECT
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup import check, projects
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.options import CRON_OPTIONS
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.schedule import schedule_errors
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.option_table import DATABASES


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "databases": {"type": "list", "elements": "dict", "required": True},
            "once": {"type": "list", "elements": "dict", "default": []},
            **argument_spec((*CRON_OPTIONS, *PROJECT)),
        },
        supports_check_mode=True,
        no_log=True,  # login_password is refused below: until then it must not get into the journal
    )
    module.no_log_values |= check.passwords(module.params["databases"])
    params = module.params
    cron_user = params["cron_user"] if params["cron_state"] == "present" else None
    errors = list(hidden_characters((DATABASES, replace(DATABASES, name="once"), *CRON_OPTIONS, *PROJECT), params))
    if not errors:  # No other error may repeat such a value.
        errors += check.errors(params["databases"], params["once"], cron_user)
        errors += schedule_errors(params["cron_schedule"])
        play, there = projects.play(params), projects.there()
        errors += projects.errors(play, there)
        for sentence in () if errors else projects.left_alone(play, there):
            module.warn(sentence)
    if errors:
        module.fail_json(msg="\n".join(errors), errors=errors)
    module.exit_json(changed=False, errors=[])


if __name__ == "__main__":
    main()
