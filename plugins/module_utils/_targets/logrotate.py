# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How logrotate(8) renames a service's log file. The service then opens a new one by itself: evenkeel_log_file.py."""

from __future__ import annotations

from .._celery import log_file
from .._celery.options import Instance
from .._common import users
from .._common.paths import MARKER
from .._common.quantities import parse_size

KEPT = 8  # older files

# su: not as root, as the user can replace anything in the directory.
# nocreate: the service makes the new file. One that logrotate made would be there for a moment with another owner.
# nocompress: root would wait for a gzip that the user can stop, and no other log of the host would be rotated any more.
# It would also lose the lines that the service writes to the renamed file in the meantime.
_TEXT = """\
{marker}: the next run overwrites changes made here.
{path} {{
    su {user} {group}
    weekly
    maxsize {size}
    rotate {kept}
    missingok
    notifempty
    nocreate
    nocompress
}}
"""


def configuration(instance: Instance) -> str | None:
    """The text of its file; None for a service without a log file."""
    path = log_file.path(instance)
    if path is None:
        return None
    return _TEXT.format(
        marker=MARKER,
        path=path,
        user=instance["user"],
        group=instance["group"] or users.primary_group(instance["user"]),
        size=parse_size(instance["log_max_size"]),
        kept=KEPT,
    )
