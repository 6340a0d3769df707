#!/usr/bin/python3 -I
# Managed by evenkeel.celery
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a sample of this host's Celery services: metrics for node_exporter, and a line for the journal.

evenkeel-sample.timer runs it each minute as the user evenkeel-monitoring. The metrics are written to $STATE_DIRECTORY.

exit codes:
  0  the sample was taken
  1  it was not; see the message. The next one counts what this one has not
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Write no bytecode of the engine to /usr/local/lib/evenkeel.
sys.dont_write_bytecode = True
# Isolated mode (-I) leaves this out.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from _engine._monitoring.api import DIRECTORY, SampleError, read_all, take  # noqa: E402


def main() -> int:
    try:
        print(take(read_all(), os.environ.get("STATE_DIRECTORY", DIRECTORY)))
    except SampleError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
