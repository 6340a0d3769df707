#!/usr/bin/python
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: celery_report
short_description: Tell how Celery services are, and what has happened to them
version_added: "0.2.0"
author:
  - The evenkeel developers (@evenkeel)
description:
  - Collects what a host knows of its Celery workers and beats, from systemd, the journal and the kernel. Nothing has to
    be installed for that, and nothing is changed.
  - Where the role P(evenkeel.celery.monitoring#role) takes samples, the memory of the last days is known as well. Where
    P(evenkeel.celery.job_cleanup#role) is installed, a dry run tells which jobs are stuck.
  - The playbook C(evenkeel.celery.report) makes a page, a table and a verdict of the answers of all hosts.
extends_documentation_fragment:
  - evenkeel.celery.celery_report
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It changes nothing.
"""

EXAMPLES = r"""
- name: Look at the worker and the beat of the last three days
  evenkeel.celery.celery_report:
    services:
      - name: celery-worker
      - name: celery-beat
        kind: beat
    days: 3
  register: result
"""

RETURN = r"""
report:
  description:
    - The answer of this host. Times are seconds since 1970, sizes are bytes, and what can't be known is null.
    - C(plugins/module_utils/_monitoring/collect.py) says what each field means.
  returned: success
  type: dict
  sample:
    host: web-1
    journal: {complete: true, kernel: true, persistent: true, since: 1795057566.0, suppressed: 0}
    services: [{kind: worker, name: celery-worker, running: 2, state: ready}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import argument_spec
from ansible_collections.evenkeel.celery.plugins.module_utils._common.systemd import SystemdError
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.collect import collect
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.config import read_service
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.journal import JournalError
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.options import REPORT


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(REPORT), supports_check_mode=True)
    if not 0 < module.params["days"] <= 366:
        module.fail_json(msg=f"days is {module.params['days']:g}. Set a number from above 0 to 366.")
    try:
        services = [read_service(service) for service in module.params["services"]]
        report = collect(services, module.params["days"], module.params["stuck_job_age"])
    except (ValueError, JournalError, SystemdError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, report=report.to_dict())


if __name__ == "__main__":
    main()
