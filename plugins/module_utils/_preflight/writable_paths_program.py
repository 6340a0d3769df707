# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs as a worker's user and finds out which of the given paths it can't write. Only the kernel knows all the rules.

Prints a JSON object. closed: each such path, with what denies access, the path itself or a directory above it; roots:
files in the other paths that belong to root and that the user can't write.
"""

import contextlib
import itertools
import json
import os
import sys
from pathlib import Path

MOST = 10_000  # files of a directory that are checked


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
