# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends stale workers: those of this application and node that no unit manages, such as one started by hand.

With --kind beat it ends stale beats, which have no node. A beat within a worker (-B) is only named.
A process is stale if all of this is true, and is never touched otherwise:
  * all its user IDs are that of one of the users: a setuid program belongs to whoever started it, too,
  * its command line is `celery … worker` with our -A and our -n (whole arguments, not a pattern over the line), or
    `celery … beat` with our -A,
  * it runs in the application's directory or in that of an earlier release, or was sent there by --workdir,
  * it was started as a program: pool children are only forked, and their main process manages them,
  * no systemd unit manages it, and it is in no container. The units of logins, cron and at do not manage it.
Other users' workers are seen only with CAP_SYS_PTRACE, which root does not have in every container.

The main process gets SIGTERM (Celery's warm shutdown: running tasks finish). With --action kill it and its children
get SIGKILL after the time-out. Exit code 0: none is left, or --action report; 1: one still runs; 2: wrong usage.

Root runs this, so it reads nothing of other users but the IDs of their processes, and of the users' processes only
bounded parts of what the kernel knows. It looks up no path that a process has named.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import pwd
import re
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

PROC = Path("/proc")
NO_UNIT, CONTAINER = "no unit", "a container"
# Units that neither restart nor stop a worker that was started in them.
LEFT_BEHIND = ("session-", "tmux-spawn-", "cron.service", "atd.service", "ssh.service", "sshd.service", "ssh@", "sshd@")
CONTAINERS = ("docker-", "libpod-", "machine-", "cri-")
# Options of `celery` itself, before its command, that take no value; all others take one.
FLAGS = ("-C", "--no-color", "-q", "--quiet", "--skip-checks", "--version", "--help")
# The command, as Fedora, Nix and Guix name it too, or an archive with it: one of shiv's, and one of pex's, which runs
# from where it was unpacked.
CELERY = re.compile(r"(.*/)?\.?celery(-[\d.]+|-wrapped|-real)?|.*\.(pex|pyz)|.*/unzipped_pexes/.*", re.DOTALL)
FORKED_ONLY = 0x40  # PF_FORKNOEXEC among a process's flags: it was forked and has not executed a program
LONGEST = 2**16  # bytes that are read of a command line and of other files of /proc
AT_ONCE = 500  # workers that are ended in one run: each needs a file descriptor
KILL_TIMEOUT = 10  # seconds that the kernel may take to end killed processes
SEARCHES = "--searches"  # several searches at once, as JSON, whose report is JSON: celery_preflight's question


@dataclass(frozen=True)
class Wanted:
    """The application whose stale workers (of one node) or beats are looked for."""

    kind: str
    app: str
    directory: str
    node: str  # a beat has none
    uids: frozenset[int]
    host: str

    @property
    def full_node(self) -> str:
        return full_name(self.node, self.host)


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
    called: str = ""  # what the shell that started it called its directory, which may be a link: its variable PWD
    embedded: bool = False  # a beat within a worker

    @functools.cached_property
    def words(self) -> list[str] | None:
        return celery_words(self.argv)

    @property
    def unmanaged(self) -> bool:
        return not self.embedded and (self.unit == NO_UNIT or self.unit.startswith(LEFT_BEHIND))


# --- Which processes: pure functions ----------------------------------------------------------------------------------


def matches(process: Process, wanted: Wanted) -> bool:
    """Whether it is a beat or the main process of a worker of the wanted application, whatever manages it."""
    if process.uid not in wanted.uids or process.forked:
        return False
    words = process.words
    if words is None or option(words, "-A", "--app") != wanted.app:
        return False
    if command(words) != wanted.kind and not (wanted.kind == "beat" and has_beat(words)):
        return False
    named = (process.directory, process.called, option(words, "", "--workdir"))
    return any(is_of(plain(path), wanted.directory) for path in named if path) and (
        wanted.kind == "beat" or full_name(option(words, "-n", "--hostname"), wanted.host) == wanted.full_node
    )


def is_of(path: str, directory: str) -> bool:
    """Whether a path is the application's directory: by its name, without links, or in an earlier release.

    They are compared as texts: to look up a path that a process has named might mean to wait for a user's file system.
    """
    said, real = os.path.normpath(directory), real_path(directory)
    return path in (said, real) or (said != real and any_release(path) == any_release(real) != real)


def any_release(path: str) -> str:
    """The path without the release's name, where releases lie side by side, as Capistrano and others have them."""
    return re.sub("/releases/[^/]+", "/releases/*", path, count=1)


def celery_words(argv: tuple[str, ...]) -> list[str] | None:
    """What follows `celery` or `python -m celery` on a command line; None if it runs something else."""
    # With setproctitle, a title with Celery's arguments replaces the command line.
    titles = r"\[celeryd: \S+:MainProcess\] \S+ \((.*)\)|\[celery beat\] (.*)"
    title = re.fullmatch(titles, argv[0]) if len(argv) == 1 else None
    if title:
        return (title[1] or title[2]).split()
    words = list(argv)
    if re.fullmatch(r"(python|pypy)[\d.]*[dt]?", base(words)):
        words.pop(0)
        while base(words).startswith("-") and words[0] not in ("-m", "-c"):
            del words[: 2 if words[0] in ("-W", "-X") else 1]
        if words[:1] == ["-m"]:
            words.pop(0)
    return words[1:] if words and CELERY.fullmatch(words[0]) else None


def has_beat(words: list[str]) -> bool:
    """Whether it is a worker with a beat in it: -B may stand among other short flags."""
    return command(words) == "worker" and any(word == "--beat" or re.fullmatch(r"-E*B.*", word) for word in words)


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


def plain(path: str) -> str:
    """A replaced directory counts as its successor."""
    return os.path.normpath(path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path)


@functools.cache
def real_path(path: str) -> str:
    return os.path.realpath(path)


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


def processes(uids: Iterable[int]) -> Iterator[Process]:
    """The processes of these users."""
    # /proc/PID belongs to the process's effective user, or to root: of a worker that was started with --uid, too.
    owners = {0, *uids}
    with os.scandir(PROC) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                process = entry.name.isdigit() and entry.stat().st_uid in owners and look(int(entry.name), uids)
                if process:
                    yield process


def look(pid: int, uids: Iterable[int]) -> Process | None:
    """The process as it is now; None if it has ended, is not one of these users', or if we may not read its data."""
    entry = PROC / str(pid)
    try:
        uid = user_of(read(entry / "status"))
        if uid not in uids:
            return None
        namespace = (entry / "ns" / "pid").readlink()
        stat = read(entry / "stat").rsplit(")", 1)[1].split()
        return Process(
            pid=pid,
            parent=int(stat[1]),
            uid=uid,
            argv=tuple(read(entry / "cmdline").rstrip("\0").split("\0")),
            directory=str((entry / "cwd").readlink()),
            forked=bool(int(stat[6]) & FORKED_ONLY),
            started=stat[19],
            unit=unit_of(read(entry / "cgroup"), units_root()) if namespace == our_namespace() else CONTAINER,
            called=called(entry),
        )
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def read(path: Path) -> str:
    """The start of a file of /proc."""
    with path.open("rb", buffering=0) as file:
        return file.read(LONGEST).decode(errors="replace")


def called(entry: Path) -> str:
    """The process's variable PWD; empty if it has none, or if we may not read it, as in a container."""
    try:
        found = re.search(r"(?:^|\0)PWD=([^\0]*)", read(entry / "environ"))
    except PermissionError:
        return ""
    return found[1] if found else ""


def user_of(status: str) -> int | None:
    """The user of a process; None of a setuid program, which has several."""
    real, effective, saved, _file_system = re.search(r"^Uid:(.*)", status, re.MULTILINE)[1].split()
    return int(real) if real == effective == saved else None


def sees_all() -> bool:
    """Whether we may see where other users' processes run: CAP_SYS_PTRACE, capabilities(7)."""
    effective = re.search(r"^CapEff:\s*(\w+)", read(PROC / "self" / "status"), re.MULTILINE)[1]
    return bool(int(effective, 16) >> 19 & 1)


@functools.cache
def our_namespace() -> Path:
    return (PROC / "self" / "ns" / "pid").readlink()


@functools.cache
def units_root() -> str:
    return root_of(read(PROC / "1" / "cgroup"))


def find(wanted: Wanted) -> list[Process]:
    """Workers or beats of the wanted application, whatever manages them."""
    found = (
        replace(process, argv=(), embedded=wanted.kind == "beat" and command(process.words) == "worker")
        for process in processes(wanted.uids)
        if matches(process, wanted)
    )
    return sorted(found, key=lambda process: process.pid)


# --- Ending -----------------------------------------------------------------------------------------------------------


def hold(process: Process) -> int | None:
    """A handle that keeps referring to this process even if its PID is reused; None if it has ended."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        again = look(process.pid, [process.uid])
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


def end(processes_to_end: list[Process], timeout: float, finally_kill: bool) -> list[Process]:
    """Asks all of them to finish, waits `timeout` seconds, kills the rest on request. Returns those that still run."""
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
    if finally_kill:
        kill_families(stubborn)
        until = time.monotonic() + KILL_TIMEOUT
        stubborn = {
            handle: process for handle, process in stubborn.items() if not gone(handle, until - time.monotonic())
        }
    return list(stubborn.values())


def kill_families(held: dict[int, Process]) -> None:
    """Kill main processes and their pools' children, which would be left without them."""
    relatives = list(processes({process.uid for process in held.values()}))
    for handle, process in held.items():
        # Held before the main process is killed: with it, the kernel kills children that asked for that (prctl(2)).
        children = [hold(child) for child in relatives if child.parent == process.pid]
        children = [child for child in children if child is not None]
        for each in (handle, *children):
            send(each, signal.SIGKILL)
        for child in children:
            os.close(child)
        say(process, f"still running, killed with {len(children)} children")


# --- Saying -----------------------------------------------------------------------------------------------------------


def say(process: Process, what: str) -> None:
    print(line(process, what), flush=True)


def line(process: Process, what: str) -> str:
    # Without its command line, which may contain the broker's password.
    text = f"stale_workers: process {process.pid} of {user_name(process.uid)}, in {process.unit}: {what}"
    # Users may name control groups, and with them units.
    return "".join(character if character.isprintable() else "?" for character in text)


def what_it_is(process: Process, wanted: Wanted) -> str:
    what = "worker with a beat (-B)" if process.embedded else wanted.kind
    node = f", node {wanted.full_node}" if wanted.node else ""
    return f"is a {what} of {wanted.app} in {wanted.directory}{node}, since {since(process)}"


def since(process: Process) -> str:
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    started = booted + int(process.started) / os.sysconf("SC_CLK_TCK")
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(started))


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


# --- Running ----------------------------------------------------------------------------------------------------------


def warn(text: str) -> None:
    print(f"stale_workers: {text}", file=sys.stderr, flush=True)


def to_find(kind: str, app: str, directory: str, node: str, users: Iterable[str]) -> Wanted:
    uids = set()
    for user in users:
        try:
            uids.add(pwd.getpwnam(user).pw_uid)
        except KeyError:
            warn(f"user {user!r} does not exist. Create it, or remove it from stale_{kind}s_users.")
    if not sees_all():
        warn("other users' workers can't be seen. Run this as root, in a container with CAP_SYS_PTRACE.")
    return Wanted(kind, app, directory, node, frozenset(uids), socket.gethostname())


def report(searches: list[dict[str, Any]]) -> str:
    """What each search finds, as JSON."""
    asked = [to_find(**search) for search in searches]
    return json.dumps([[data(process, wanted) for process in find(wanted)] for wanted in asked])


def data(process: Process, wanted: Wanted) -> dict[str, Any]:
    user, what = user_name(process.uid), what_it_is(process, wanted)
    about = {"pid": process.pid, "user": user, "unit": process.unit, "is": what}
    return {**about, "stale": process.unmanaged, "embedded": process.embedded}


def clear(wanted: Wanted, timeout: float, action: str) -> list[str]:
    """Finds stale workers, and ends them. Returns a line for each that still runs."""
    found = find(wanted)
    for process in found:
        say(process, f"{what_it_is(process, wanted)}: {'stale' if process.unmanaged else 'left alone'}")
    if action == "report":
        return []
    stale = [process for process in found if process.unmanaged]
    try:
        left = end(stale[:AT_ONCE], timeout, action == "kill") + stale[AT_ONCE:]
    except PermissionError:
        return ["stale_workers: not allowed to end another user's process. Run this as root."]
    advice = "still running. Wait for its tasks, or end it by hand: kill -KILL"
    return [line(process, f"{advice} {process.pid}") for process in left]


def main() -> int:
    if sys.argv[1:2] == [SEARCHES]:
        print(report(json.loads(sys.argv[2])))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["worker", "beat"], default="worker", help="what to end (default: worker)")
    parser.add_argument("--app", required=True, help="the application, as in celery -A")
    parser.add_argument("--directory", required=True, help="the application's directory")
    parser.add_argument("--node", default="celery@%h", help="the node's name, as in celery worker -n")
    parser.add_argument("--user", required=True, action="append", help="whose processes (may be repeated)")
    parser.add_argument("--timeout", type=float, default=60, help="seconds that running tasks may take (default: 60)")
    parser.add_argument("--action", choices=["report", "stop", "kill"], default="report")
    parser.add_argument("--reason", type=Path, help="a file that says why the service must not start, while it exists")
    options = parser.parse_args()
    if options.reason:
        options.reason.write_text("stale_workers: the search has not ended.\n", encoding="utf-8")
    node = options.node if options.kind == "worker" else ""
    wanted = to_find(options.kind, options.app, options.directory, node, options.user)
    left = clear(wanted, options.timeout, options.action)
    for each in left:
        print(each, flush=True)
    if options.reason and left:
        options.reason.write_text("\n".join([*left[:AT_ONCE], ""]), encoding="utf-8")
    elif options.reason:
        options.reason.unlink()
    return 1 if left else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # whatever the locale, no name ends the search
    sys.exit(main())
