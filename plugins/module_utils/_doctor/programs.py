# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that tell the facts. They are put beside the probe, and run in the application's own Python."""

from __future__ import annotations

import inspect

from .._stuck_jobs import celery_helper
from . import broker_program, facts_program

# By the names under which they import each other, which no module of an application has.
_PROGRAMS = {
    "evenkeel_facts": facts_program,
    "evenkeel_broker": broker_program,
    "evenkeel_celery_helper": celery_helper,
}
# Read once, as threads that do it at the same time disturb each other.
SOURCES = {name: inspect.getsource(program) for name, program in _PROGRAMS.items()}
