# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends leftovers: workers of this application and node that were started by hand and belong to no unit.

A process is one if all of this holds, and is never touched otherwise:
  * it belongs to one of the users,
  * its command line is `celery … worker` with our -A and our -n (whole arguments, not a pattern over the line),
  * it runs in the application's directory,
  * its parent has another command line (pool children are left to their main process),
  * no systemd unit holds it, and no container. Those of a login, cron or at hold only what was left behind there.

The main process gets SIGTERM (Celery's warm shutdown: running tasks finish); with --action kill it and its children
get SIGKILL after the time-out. Exit code 1: one is still there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

PROC = Path("/proc")
# Nobody restarts or stops what was left behind in these.
LEFT_BEHIND = ("session-", "cron.service", "atd.service", "ssh.service", "sshd.service", "ssh@", "sshd@")
CONTAINERS = ("docker-", "libpod-", "machine-", "cri-")


@dataclass(frozen=True)
class Wanted:
    """The application and node whose leftovers are looked for."""

    app: str
    directory: str
    node: str
    uids: frozenset[int]


@dataclass(frozen=True)
class Process:
    pid: int
    ppid: int
    uid: int
    argv: tuple[str, ...]
    directory: str
    started: str  # in clock ticks since boot: with the PID, one process for good
    unit: str  # the innermost unit; "-": none; "container"

    @property
    def loose(self) -> bool:
        return self.unit == "-" or self.unit.startswith(LEFT_BEHIND)

    def __str__(self) -> str:
        return f"process {self.pid} ({' '.join(self.argv)})"


def matches(process: Process, parent: Process | None, wanted: Wanted, host: str) -> bool:
    """Is it a main process of the wanted application's worker? Says nothing about who manages it."""
    argv, node = process.argv, expand(wanted.node, host)
    if process.uid not in wanted.uids or (parent and parent.argv == argv):
        return False
    if len(argv) == 1 and argv[0].startswith("[celeryd: "):  # setproctitle hides the command line, and with it the app
        return argv[0].startswith(f"[celeryd: {node}:MainProcess]") and same(process.directory, wanted.directory)
    celery = "celery" in [os.path.basename(word) for word in argv[:2]] or argv[1:3] == ("-m", "celery")  # noqa: PTH119
    return (
        celery
        and "worker" in argv
        and option(argv, "-A", "--app") == wanted.app
        and expand(option(argv, "-n", "--hostname") or "celery@%h", host) == node
        and same(option(argv, "", "--workdir") or process.directory, wanted.directory)
    )


def same(path: str, other: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def option(argv: tuple[str, ...], short: str, long: str) -> str:
    """An option's value in any of the forms that Celery's command line takes: -A x, -Ax, --app x, --app=x."""
    for index, word in enumerate(argv):
        if word == long or (short and word == short):
            return argv[index + 1] if index + 1 < len(argv) else ""
        if word.startswith(long + "="):
            return word[len(long) + 1 :]
        if short and word.startswith(short) and not word.startswith("--"):
            return word[len(short) :]
    return ""


def expand(node: str, host: str) -> str:
    """A node's full name, as celery.utils.nodenames expands it."""
    name, at, where = node.partition("@")
    short, domain = host.partition(".")[::2]
    full = f"{name}@{where}" if at else f"celery@{node}"
    return full.replace("%h", host).replace("%d", domain).replace("%n", short).replace("%%", "%")


def unit_of(cgroup: str, root: str) -> str:
    """The innermost unit in a /proc/PID/cgroup; root is the systemd path under which this host's units lie."""
    path = cgroup_path(cgroup)
    if not (path + "/").startswith(root.rstrip("/") + "/"):
        return "container"
    parts = path[len(root.rstrip("/")) :].split("/")
    if "docker" in parts or any(part.startswith(CONTAINERS) for part in parts):
        return "container"
    units = [part for part in parts if part.endswith((".service", ".scope")) and part != "init.scope"]
    return units[-1] if units else "-"


def cgroup_path(cgroup: str) -> str:
    """Systemd's own hierarchy: the only one on cgroup v2, a named one on v1."""
    paths = {}
    for line in cgroup.splitlines():
        number, controllers, path = line.split(":", 2)
        paths[controllers or number] = path
    return paths.get("name=systemd", paths.get("0", "/"))


def processes() -> dict[int, Process]:
    init = cgroup_path((PROC / "1" / "cgroup").read_text())
    root = init[: -len("/init.scope")] if init.endswith("/init.scope") else init
    found = {}
    for entry in PROC.iterdir():
        # A process may end while we look, and a kernel thread has no directory.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if entry.name.isdigit():
                process = read(entry, root)
                found[process.pid] = process
    return found


def read(entry: Path, root: str) -> Process:
    fields = (entry / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()
    return Process(
        pid=int(entry.name),
        ppid=int(fields[1]),
        uid=entry.stat().st_uid,
        argv=tuple((entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")),
        directory=str((entry / "cwd").readlink()),
        started=fields[19],
        unit=unit_of((entry / "cgroup").read_text(), root),
    )


def find(wanted: Wanted) -> Iterator[Process]:
    """Workers of the wanted application and node, whoever manages them."""
    found, host = processes(), socket.gethostname()
    for process in found.values():
        if process.pid != os.getpid() and matches(process, found.get(process.ppid), wanted, host):
            yield process


class Leftover:
    """A worker to be ended, held by its pidfd: the number can't become another process's under our hands."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.handle: int | None = None
        with contextlib.suppress(ProcessLookupError):
            self.handle = os.pidfd_open(process.pid)
            now = processes().get(process.pid)
            if now is None or now.started != process.started:  # it was another's already
                os.close(self.handle)
                self.handle = None

    def send(self, number: signal.Signals) -> None:
        if self.handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, number)

    def kill(self) -> None:
        """With its pool's children: without a main process they would only hang about."""
        family = [child.pid for child in processes().values() if child.ppid == self.process.pid]
        self.send(signal.SIGKILL)
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        say(f"{self.process}: still there, killed with {len(family)} children")

    def gone(self, timeout: float) -> bool:
        """Wait until it has ended."""
        if self.handle is None:
            return True
        poll = select.poll()
        poll.register(self.handle, select.POLLIN)
        return bool(poll.poll(max(0, timeout) * 1000))


def end(found: list[Process], timeout: float, kill: bool) -> list[Process]:
    """Ask all of them to finish, wait, and kill them if that is asked for. Returns those still there."""
    leftovers = [Leftover(process) for process in found]
    for leftover in leftovers:
        leftover.send(signal.SIGTERM)
        say(f"{leftover.process}: belongs to no unit, asked to finish its tasks, at most {timeout:g} s")
    until = time.monotonic() + timeout
    stubborn = [leftover for leftover in leftovers if not leftover.gone(until - time.monotonic())]
    if kill:
        for leftover in stubborn:
            leftover.kill()
        stubborn = [leftover for leftover in stubborn if not leftover.gone(10)]
    return [leftover.process for leftover in stubborn]


def say(text: str) -> None:
    print(f"stale_workers: {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", required=True, help="the application, as in celery -A")
    parser.add_argument("--directory", required=True, help="the application's directory")
    parser.add_argument("--node", default="celery@%h", help="the node's name, as in celery worker -n")
    parser.add_argument("--user", required=True, action="append", help="whose processes (may be repeated)")
    parser.add_argument("--timeout", type=float, default=60, help="seconds that running tasks may take (default: 60)")
    parser.add_argument("--action", choices=["report", "stop", "kill"], default="report")
    options = parser.parse_args()
    uids = frozenset(pwd.getpwnam(user).pw_uid for user in options.user)
    wanted = Wanted(options.app, options.directory, options.node, uids)

    found = sorted(find(wanted), key=lambda process: process.pid)
    for process in found:
        if not process.loose:
            say(f"{process}: belongs to {process.unit}, left alone")
        elif options.action == "report":
            say(f"{process}: belongs to no unit")
    if options.action == "report":
        return 0
    left = end([process for process in found if process.loose], options.timeout, options.action == "kill")
    for process in left:
        say(f"{process}: still there. Wait for its tasks, or end it by hand: kill -KILL {process.pid}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
