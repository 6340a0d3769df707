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
findings:
  description: The traps, the worst first, each with its rule, severity, services, why it matters and what to write.
  returned: success
  type: list
  elements: dict
unknown:
  description: Why a host, or a service of it, could not be examined.
  returned: success
  type: dict
sentence:
  description: How many services were examined, and how much was found.
  returned: success
  type: str
"""
