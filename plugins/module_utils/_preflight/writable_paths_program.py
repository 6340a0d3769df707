# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs as a worker's user: which of these paths can it not write? Only the kernel knows what all the rules come to.

Prints a JSON object. closed: each such path, with what shuts the user out, itself or a directory above it; roots:
files of root's in the others that the user can't write.
"""

import contextlib
import itertools
import json
import os
import sys
from pathlib import Path

MOST = 10_000  # files of a directory that are looked at


def look(paths):
    closed, roots = {}, []
    for path in paths:
        above = [str(parent) for parent in reversed(Path(path).parents)]
        shut = [parent for parent in above if not os.access(parent, os.X_OK)]
        if shut or not os.access(path, os.W_OK | (os.X_OK if Path(path).is_dir() else 0)):
            closed[path] = (shut or [path])[0]
            continue
        with contextlib.suppress(OSError), os.scandir(path) as entries:
            for entry in itertools.islice(entries, MOST):
                if entry.is_symlink() or entry.name == "lost+found" or os.access(entry.path, os.W_OK):
                    continue
                if entry.stat().st_uid == 0:
                    roots.append(entry.path)
    return {"closed": closed, "roots": sorted(roots)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look(sys.argv[1:])))
