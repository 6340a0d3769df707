# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says how the Celery services of this host are, and what has happened to them.

It reads systemd, the journal and the kernel's files, and needs only Python's standard library and _common. There is no
database: the journal is the history. The role monitoring copies it to the host for evenkeel_sample.py, and the module
celery_report imports it.

metrics      all metrics                      config       what is sampled
unit_state   the services as they are now     status       what they say of themselves
journal      reads the journal                ends         how runs began and ended
log_lines    what the log says                stuck_jobs   what clean-ups have told
counters     counts each entry once           machine      memory and disks
sample       metrics and a line of history    collect      a report's data, with
options      what can be set                  past, history, programs
"""

from __future__ import annotations

from .config import read_all
from .sample import DIRECTORY, SampleError, take

__all__ = ["DIRECTORY", "SampleError", "read_all", "take"]
