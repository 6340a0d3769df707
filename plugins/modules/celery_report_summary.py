#!/usr/bin/python

# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: celery_report_summary
short_description: One report of Celery services on all hosts, as a table, a page or JSON
description:
  - Judges what M(evenkeel.celery.celery_report) has collected on each host - a verdict in a sentence, what to do, and
    which goals are met, which are not, and which can't be judged, and why.
  - Runs on the controller and reads only what it is given. Hosts that gave no answer are named first, and nothing
    counts as met for them.
  - The page is one file of HTML. It runs no script and loads nothing.
  - What hosts answer is checked. Control characters are shown as escapes, lengths are limited.
version_added: "0.2.0"
author:
  - The evenkeel developers (@evenkeel)
extends_documentation_fragment:
  - evenkeel.celery.celery_report_summary
options:
  answers:
    description:
      - The result of M(evenkeel.celery.celery_report) on each host, by the host's name. A result that has no C(report)
        is that of a host that did not answer.
    type: dict
    required: true
  pings:
    description:
      - The result of M(evenkeel.celery.celery_ping) on each host, by the host's name. If it is set, the checks after a
        deployment are shown instead of the report.
    type: dict
  ping_task:
    description: The task that M(evenkeel.celery.celery_ping) has sent.
    type: str
    default: ""
  without_swap:
    description: Hosts that need no swap. If they have none, the checks do not mention it.
    type: list
    elements: str
    default: []
attributes: {}
seealso:
  - module: evenkeel.celery.celery_report
  - module: evenkeel.celery.celery_ping
"""

EXAMPLES = r"""
- name: Report on all hosts of the play
  evenkeel.celery.celery_report_summary:
    answers: "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars, 'collected'))) }}"
    file: [celery.html]
    goals:
      memory: 1G
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
verdict:
  description: V(fine), V(wrong), or V(can't know).
  type: str
  returned: success
  sample: fine
exit_code:
  description: "The verdict as a monitor's exit code: 0 fine, 1 wrong, 3 can't know."
  type: int
  returned: success
files:
  description: The files that were written.
  type: list
  elements: str
  returned: success
"""
