# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells what systemd and the kernel have done for this process, which runs with a service's directives (effects.py).

Prints a JSON object:
  cgroup: the version of its control group, 1 or 2
  files: what this control group's files say, by their names
  limits: its soft and hard resource limits by systemd's names, such as NOFILE; -1: none
  nr_open: the kernel's highest limit of open files; null if it can't be read
  namespaces: its namespaces by their kinds, such as mnt
  status: lines of /proc/self/status
  nice, oom_score_adj: its numbers
  local: whether it can send to its own machine; null if that can't be tried
"""

import contextlib
import json
import os
import resource
import socket
import sys
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
FILES = (
    *("memory.max", "memory.high", "memory.swap.max", "memory.low", "memory.min", "memory.events", "memory.oom.group"),
    *("pids.max", "cpu.max", "cpu.weight", "io.weight", "io.bfq.weight", "cpuset.cpus", "cpuset.mems"),
    # Of control groups v1:
    *("memory.limit_in_bytes", "cpu.cfs_quota_us", "cpu.shares", "blkio.weight", "blkio.bfq.weight"),
)
NAMESPACES = ("ipc", "mnt", "net", "user", "uts")
STATUS = ("NoNewPrivs", "Seccomp", "Seccomp_filters")


def directories():
    """Where its control groups may be: in a container, their paths may begin outside of it."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        controllers, path = line.split(":", 2)[1:]
        parts = path.strip("/").split("/")
        for start in range(len(parts)):
            yield Path(CGROUPS, controllers, *parts[start:])


def files():
    found = {}
    for directory in directories():
        for name in FILES:
            with contextlib.suppress(OSError):
                found.setdefault(name, (directory / name).read_text()[:1000].strip())
    return found


def limits():
    kinds = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name[len("RLIMIT_") :]: resource.getrlimit(getattr(resource, name)) for name in kinds}


def nr_open():
    with contextlib.suppress(OSError):
        return int(Path("/proc/sys/fs/nr_open").read_text())
    return None


def status():
    pairs = (line.partition(":") for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(value) for name, _colon, value in pairs if name in STATUS}


def can_send():
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", ("127.0.0.1", 9))
    except PermissionError:
        return False
    except OSError:  # there is no such family, or no network
        return None
    return True


def look():
    return {
        "cgroup": 2 if (CGROUPS / "cgroup.controllers").exists() else 1,
        "files": files(),
        "limits": limits(),
        "nr_open": nr_open(),
        "namespaces": {kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in NAMESPACES},
        "status": status(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "oom_score_adj": int(Path("/proc/self/oom_score_adj").read_text()),
        "local": can_send(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look()))
