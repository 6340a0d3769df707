# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends stale workers: those of this application and node that no unit manages, such as one started by hand.

A process is stale if all of this is true, and is never touched otherwise:
  * it belongs to one of the users,
  * its command line is `celery … worker` with our -A and our -n (whole arguments, not a pattern over the line),
  * it runs in the application's directory, or was sent there by --workdir,
  * it was started as a program: pool children are only forked, and their main process manages them,
  * no systemd unit manages it, and it is in no container. The units of logins, cron and at do not manage it.
Without CAP_SYS_PTRACE (root in most containers) workers that were started with --uid can't be seen.

The main process gets SIGTERM (Celery's warm shutdown: running tasks finish). With --action kill it and its children
get SIGKILL after the time-out. Exit code 0: none is left, or --action report; 1: one still runs; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import re
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
NO_UNIT, CONTAINER = "no unit", "a container"
# Units that neither restart nor stop a worker that was started in them.
LEFT_BEHIND = ("session-", "tmux-spawn-", "cron.service", "atd.service", "ssh.service", "sshd.service", "ssh@", "sshd@")
CONTAINERS = ("docker-", "libpod-", "machine-", "cri-")
# Options of `celery` itself, before its command, that take no value; all others take one.
FLAGS = ("-C", "--no-color", "-q", "--quiet", "--skip-checks", "--version", "--help")
FORKED_ONLY = 0x40  # PF_FORKNOEXEC among a process's flags: it was forked and has not executed a program


@dataclass(frozen=True)
class Wanted:
    """The application and node whose stale workers are looked for."""

    app: str
    directory: str
    node: str
    uids: frozenset[int]
    host: str


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    uid: int
    argv: tuple[str, ...]
    directory: str
    forked: bool
    started: str  # in clock ticks since boot; together with the PID, it identifies a process
    unit: str  # the innermost unit that it runs in, or NO_UNIT, or CONTAINER

    @property
    def unmanaged(self) -> bool:
        return self.unit == NO_UNIT or self.unit.startswith(LEFT_BEHIND)


# --- Which processes: pure functions ----------------------------------------------------------------------------------


def matches(process: Process, wanted: Wanted) -> bool:
    """Whether it is the main process of a worker of the wanted application, whatever manages it."""
    if process.uid not in wanted.uids or process.forked:
        return False
    words = celery_words(process.argv)
    if words is None or command(words) != "worker" or option(words, "-A", "--app") != wanted.app:
        return False
    directories = (process.directory, option(words, "", "--workdir"))
    return any(same(directory, wanted.directory) for directory in directories if directory.startswith("/")) and (
        full_name(option(words, "-n", "--hostname"), wanted.host) == full_name(wanted.node, wanted.host)
    )


def celery_words(argv: tuple[str, ...]) -> list[str] | None:
    """What follows `celery` or `python -m celery` on a command line; None if it runs something else."""
    # With setproctitle, a title replaces the command line, with Celery's arguments in parentheses.
    title = re.fullmatch(r"\[celeryd: \S+:MainProcess\] \S+ \((.*)\)", argv[0]) if len(argv) == 1 else None
    if title:
        return title[1].split()
    words = list(argv)
    if re.fullmatch(r"(python|pypy)[\d.]*", base(words)):
        words.pop(0)
        while base(words).startswith("-") and words[0] not in ("-m", "-c"):
            del words[: 2 if words[0] in ("-W", "-X") else 1]
        if words[:1] == ["-m"]:
            words.pop(0)
    return words[1:] if base(words) == "celery" else None


def base(words: list[str]) -> str:
    return words[0].rsplit("/", 1)[-1] if words else ""


def command(words: list[str]) -> str:
    """Celery's command: the first word that is neither an option nor an option's value."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            return word
        if word not in FLAGS and "=" not in word and (word.startswith("--") or len(word) == 2):
            next(rest, None)
    return ""


def option(words: list[str], short: str, long: str) -> str:
    """An option's value in any of the forms that Celery's command line takes: -A x, -Ax, --app x, --app=x."""
    for index, word in enumerate(words):
        if word == "--":
            break
        if word == long or (short and word == short):
            return words[index + 1] if index + 1 < len(words) else ""
        if word.startswith(long + "="):
            return word[len(long) + 1 :]
        if short and word.startswith(short) and not word.startswith("--"):
            return word[len(short) :]
    return ""


def same(path: str, other: str) -> bool:
    """Whether two paths lead to the same directory. A replaced directory counts as its successor."""
    return os.path.realpath(path.replace(" (deleted)", "")) == os.path.realpath(other)


def full_name(node: str, host: str) -> str:
    """A node's full name, as celery.utils.nodenames expands it."""
    name, at, where = node.partition("@")
    name, where = (name, where) if at else ("", node)
    short, domain = host.partition(".")[::2]
    known = {"h": host, "n": short, "d": domain}
    full = f"{name or 'celery'}@{where or '%h'}"
    return re.sub(r"%(\w)", lambda found: known.get(found[1], found[0]), full)


def unit_of(cgroup: str, root: str) -> str:
    """The innermost unit in a /proc/PID/cgroup; root is the path under which this host's units lie."""
    root = root.rstrip("/")
    path = cgroup_path(cgroup)
    if not f"{path}/".startswith(f"{root}/"):
        return CONTAINER
    parts = path[len(root) :].split("/")
    if "docker" in parts or any(part.startswith(CONTAINERS) for part in parts):
        return CONTAINER
    units = [part for part in parts if part.endswith((".service", ".scope")) and part != "init.scope"]
    return units[-1] if units else NO_UNIT


def root_of(cgroup: str) -> str:
    """The path under which the units are, by the cgroup of the init process. In a container it is not the root."""
    path = cgroup_path(cgroup)
    return path[: -len("init.scope")] if path.endswith("/init.scope") else path


def cgroup_path(cgroup: str) -> str:
    """The path in systemd's hierarchy: the only one on cgroup v2, a named one on v1."""
    lines = (line.split(":", 2) for line in cgroup.split("\n") if line.count(":") > 1)
    paths = {controllers or number: path for number, controllers, path in lines}
    return paths.get("name=systemd", paths.get("0", "/"))


# --- Finding ----------------------------------------------------------------------------------------------------------


def look(pid: int) -> Process | None:
    """The process as it is now; None if it has ended, or if we may not read its data."""
    entry = PROC / str(pid)
    try:
        stat = (entry / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()
        # Not the owner of /proc/PID, which is root for a worker that was started with --uid.
        status = (entry / "status").read_text(errors="replace")
        uid, gid = (int(re.search(rf"^{name}:\s+\d+\s+(\d+)", status, re.MULTILINE)[1]) for name in ("Uid", "Gid"))
        try:
            directory, namespace = whereabouts(entry)
        except PermissionError:
            # Root without CAP_SYS_PTRACE, as in most containers, may not read what the owner may.
            with acting_as(uid, gid):
                directory, namespace = whereabouts(entry)
        here = (PROC / "self" / "ns" / "pid").readlink()
        root = root_of((PROC / "1" / "cgroup").read_text())
        return Process(
            pid=pid,
            parent=int(stat[1]),
            uid=uid,
            argv=tuple((entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")),
            directory=directory,
            forked=bool(int(stat[6]) & FORKED_ONLY),
            started=stat[19],
            unit=unit_of((entry / "cgroup").read_text(), root) if namespace == here else CONTAINER,
        )
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def whereabouts(entry: Path) -> tuple[str, Path]:
    return str((entry / "cwd").readlink()), (entry / "ns" / "pid").readlink()


@contextlib.contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def processes() -> list[Process]:
    pids = sorted(int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
    return [process for process in map(look, pids) if process]


def find(wanted: Wanted) -> list[Process]:
    """Workers of the wanted application and node, whatever manages them."""
    return [process for process in processes() if matches(process, wanted)]


# --- Ending -----------------------------------------------------------------------------------------------------------


def hold(process: Process) -> int | None:
    """A handle that keeps referring to this process even if its PID is reused; None if it has ended."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        again = look(process.pid)
        if again and (again.started, again.unit, again.uid) == (process.started, process.unit, process.uid):
            return handle
        os.close(handle)
    return None


def send(handle: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)


def gone(handle: int, seconds: float) -> bool:
    """Wait until the process has ended."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(max(0, seconds) * 1000))


def end(processes_to_end: list[Process], timeout: float, kill: bool) -> list[Process]:
    """Asks all of them to finish, waits `timeout` seconds, kills the rest if `kill`. Returns those that still run."""
    held = {handle: process for process in processes_to_end for handle in [hold(process)] if handle is not None}
    for handle, process in held.items():
        send(handle, signal.SIGTERM)
        say(process, f"asked to finish its tasks, within {timeout:g} s")
    until = time.monotonic() + timeout
    stubborn = {}
    for handle, process in held.items():
        if gone(handle, until - time.monotonic()):
            say(process, "has finished")
        else:
            stubborn[handle] = process
    if kill:
        for handle, process in stubborn.items():
            say(process, f"still running, killed with {kill_family(handle, process)} children")
        stubborn = {handle: process for handle, process in stubborn.items() if not gone(handle, 10)}
    return list(stubborn.values())


def kill_family(handle: int, process: Process) -> int:
    """Kill a main process and its pool's children, which would be left without it."""
    children = [hold(child) for child in processes() if child.parent == process.pid]
    children = [child for child in children if child is not None]
    for each in (handle, *children):
        send(each, signal.SIGKILL)
    return len(children)


def say(process: Process, what: str) -> None:
    # Without its command line, which may contain the broker's password.
    print(f"stale_workers: process {process.pid} of {user_name(process.uid)}, in {process.unit}: {what}", flush=True)


def since(process: Process) -> str:
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    started = booted + int(process.started) / os.sysconf("SC_CLK_TCK")
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(started))


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", required=True, help="the application, as in celery -A")
    parser.add_argument("--directory", required=True, help="the application's directory")
    parser.add_argument("--node", default="celery@%h", help="the node's name, as in celery worker -n")
    parser.add_argument("--user", required=True, action="append", help="whose processes (may be repeated)")
    parser.add_argument("--timeout", type=float, default=60, help="seconds that running tasks may take (default: 60)")
    parser.add_argument("--action", choices=["report", "stop", "kill"], default="report")
    options = parser.parse_args()
    try:
        uids = frozenset(pwd.getpwnam(user).pw_uid for user in options.user)
    except KeyError as unknown:
        parser.error(f"--user: {unknown.args[0]}. Use users of this host")
    wanted = Wanted(options.app, options.directory, options.node, uids, socket.gethostname())

    why = f"is a worker of {wanted.app} in {wanted.directory}, node {full_name(wanted.node, wanted.host)}"
    found = find(wanted)
    for process in found:
        say(process, f"{why}, since {since(process)}: {'stale' if process.unmanaged else 'left alone'}")
    if options.action == "report":
        return 0
    try:
        left = end([process for process in found if process.unmanaged], options.timeout, options.action == "kill")
    except PermissionError:
        print("stale_workers: not allowed to end another user's process. Run this as root.", flush=True)
        return 1
    for process in left:
        say(process, f"still running. Wait for its tasks, or end it by hand: kill -KILL {process.pid}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
