# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the probe, as the worker's user in the worker's sandbox: looks at its paths, then becomes its command.

Only the kernel knows all the rules of access. Prints a line, probe.py's mark and a JSON object, for whatever it finds:
  directory, executable: why this path of the worker can't be used
  absent: writable paths that do not exist
  closed: each writable path that can't be written, with what denies access (the path itself or a directory above it),
    and its owner, group and mode
  roots: how many files in the other writable paths belong to root and can't be written by the user, and the first ones
"""

import contextlib
import errno
import itertools
import json
import os
import stat
import sys
from pathlib import Path

MOST = 10_000  # files of a directory that are checked
LINE = 256  # bytes of a script's first line that the kernel reads
NAMED = 3  # files of root that are named; further ones are only counted


def look(paths):
    absent, closed, roots = [], {}, []
    for path in paths:
        shut = next(filter(is_shut, reversed(Path(path).parents)), None)
        if not shut and not Path(path).exists():
            absent.append(path)
        elif shut or not os.access(path, os.W_OK | (os.X_OK if Path(path).is_dir() else 0)):
            there = (shut or Path(path)).stat()
            closed[path] = [str(shut or path), there.st_uid, there.st_gid, stat.S_IMODE(there.st_mode)]
        else:
            roots += of_root(path)
    return {"absent": absent, "closed": closed, "roots": [len(roots), sorted(roots)[:NAMED]]}


def is_shut(directory):
    return directory.is_dir() and not os.access(directory, os.X_OK)


def of_root(directory):
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in itertools.islice(entries, MOST):
            if entry.is_symlink() or entry.name == "lost+found" or os.access(entry.path, os.W_OK):
                continue
            if entry.stat().st_uid == 0:
                yield entry.path


def enter(directory):
    """Why the worker could not work in this directory."""
    try:
        os.chdir(directory)
        os.scandir().close()
    except OSError as error:
        return error.strerror
    return None


def why_not(executable, error):
    """Why an executable can't be run, also where the kernel's own word for it misleads."""
    program, *arguments = executable.split(" ")
    named = interpreter(executable)
    if error.errno == errno.ENOENT and named.endswith("\r"):
        return "its lines end as on Windows. Convert it, for example with dos2unix"
    if error.errno == errno.ENOENT and named:
        return f"its first line names {named!r}, which is not there, as if an environment was moved or Python replaced"
    if error.errno == errno.ENOENT and arguments and os.access(program, os.X_OK):
        return f'it is not a path alone. Write a script with the lines: #!/bin/sh and: exec {executable} "$@"'
    if error.errno == errno.ENOEXEC:
        return "it is neither a program nor a script, whose first line would be one such as #!/bin/sh"
    return error.strerror


def interpreter(script):
    """What a script's first line names; an empty text if there is none, or if we may not read it."""
    with contextlib.suppress(OSError):
        file = os.open(script, os.O_RDONLY | os.O_NONBLOCK)
        first = os.read(file, LINE).split(b"\n")[0].decode(errors="replace")
        return first[2:].strip(" \t").split(" ")[0] if first.startswith("#!") else ""
    return ""


def main(request):
    def say(**found):
        sys.stdout.write(f"\n{request['mark']}{json.dumps(found)}\n")
        sys.stdout.flush()

    say(**look(request["paths"]))
    why = enter(request["directory"])
    if why:
        say(directory=why)
        return
    try:
        os.execv(request["command"][0], request["command"])  # noqa: S606 -- no shell is wanted
    except OSError as error:
        say(executable=why_not(request["command"][0], error))


if __name__ == "__main__":
    main(json.loads(Path(__file__).with_name("request.json").read_text()))
