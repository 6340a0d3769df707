# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: celery_doctor_summary
short_description: Show the traps that the doctor has found on all hosts
description:
  - Brings together what M(evenkeel.celery.celery_doctor) has found on each host, and what shows only when the hosts are
    compared. For each finding it says what happens, where, why it matters, and what to write.
  - Runs on the controller and reads only what it is given. What could not be examined is named.
  - What hosts answer is checked. Control characters are shown as escapes, lengths are limited.
version_added: "0.2.0"
author:
  - The evenkeel developers (@evenkeel)
extends_documentation_fragment:
  - evenkeel.celery.doctor
  - evenkeel.celery.doctor.summary
options:
  answers:
    description:
      - The results of M(evenkeel.celery.celery_doctor) on each host, a list by the host's name. A result that has no
        C(services) is that of a host that did not answer.
    type: dict
    required: true
  complete:
    description:
      - Whether these are all hosts of the inventory that have workers or beats. Otherwise nothing is said of queues
        without a worker, and of workers without tasks, as the other hosts may have what is missing.
    type: bool
    default: true
attributes: {}
seealso:
  - module: evenkeel.celery.celery_doctor
"""

EXAMPLES = r"""
- name: Show what was found on all hosts
  evenkeel.celery.celery_doctor_summary:
    answers: {vps: ["{{ examined }}"]}
    fail_on: warning
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
msg:
  description: How many services were examined, and how much was found.
  returned: always
  type: str
  sample: "4 services examined: 1 warning."
serious:
  description: The number of serious findings.
  returned: always
  type: int
warning:
  description: The number of warnings.
  returned: always
  type: int
hint:
  description: The number of hints.
  returned: always
  type: int
unknown:
  description: The number of hosts and services that could not be examined.
  returned: always
  type: int
"""
