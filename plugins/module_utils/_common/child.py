# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root's work for another user: a forked process that is that user for good, with limits, and sends messages.

What it sends is not trusted: each message is a line of JSON of a bounded length, to be checked by who asked for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import select
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, NoReturn

from . import users
from .texts import printable
from .users import Identity

LONGEST = 65_536  # bytes of a message
PATIENCE = 5.0  # seconds for a child to end when it is asked to
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # as systemd has it
_CRASH = "crash"  # the key of the last message of a child that has met an error
_DIE_WITH_PARENT, _ADOPT_ORPHANS = 1, 36  # PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER of prctl(2)
_MOST_HEAPS = -8  # M_ARENA_MAX of mallopt(3)

Send = Callable[[Any], None]


class Ended(Exception):
    """There is no further message, and why: the end of a sentence that begins with the process."""


class TooLate(Ended):
    """It did not send one in time."""


class Child:
    """A process of another user.

    work: what it does; the function that it gets sends a message, which is any JSON data.
    memory: bytes of memory that it may use in addition to what this process has.
    If we are not root, it is a process of our own user.
    """

    def __init__(self, work: Callable[[Send], None], identity: Identity, memory: int) -> None:
        self._pipe, writing = os.pipe()
        self._received = bytearray()
        parent = os.getpid()
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:  # inherited: then how a child ended would not be known
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # What it leaves behind, such as a daemon of an application, becomes our child when its parent ends.
        ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, 1)
        self._others = _children()
        # An interrupt must not let the child, while it is still root, return to what the parent is doing.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._pid = os.fork()
            if not self._pid:
                _live(work, writing, identity, memory, parent)
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
            os.close(writing)

    def message(self, until: float) -> Any:
        """The next message. until: how long to wait for it, by time.monotonic(). Raises Ended."""
        if time.monotonic() > until:  # even if there is one: somebody could send them without an end
            raise TooLate("did not end in time")
        while b"\n" not in self._received:
            if len(self._received) > LONGEST:
                raise Ended(f"sent more than {LONGEST} bytes in one message")
            if not select.select([self._pipe], [], [], max(0, until - time.monotonic()))[0]:
                raise TooLate("sent nothing in time")
            some = os.read(self._pipe, LONGEST)
            if not some:
                raise Ended(self._end())
            self._received += some
        line, _newline, self._received = self._received.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            raise Ended("sent an invalid message") from None
        if isinstance(message, dict) and _CRASH in message:
            raise Ended(f"has crashed: {printable(message[_CRASH])}")
        return message

    def _end(self) -> str:
        """How it has ended, which closed its end of the pipe."""
        end = self._wait(PATIENCE)
        if not end:
            return "closed its connection"
        if end.si_code == os.CLD_EXITED:
            return f"ended with exit code {end.si_status}"
        return f"was killed by {signal.Signals(end.si_status).name}"

    def stop(self) -> None:
        """Interrupts it, so that it can finish what it is doing; then kills it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGINT)
        self._wait(PATIENCE)
        self.kill()

    def kill(self) -> None:
        """Kills it, with what it has started. Has to be called in the end."""
        # It is not waited for before, so its process ID, which is that of its group too, can't be another process's.
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                kill(self._pid, signal.SIGKILL)
        # Not for ever: a process that waits for a disk that is gone can't be killed.
        if self._wait(PATIENCE):
            os.waitpid(self._pid, 0)
            self._kill_orphans()
        os.close(self._pipe)

    def _kill_orphans(self) -> None:
        """Kills what it has left behind. These are our children now, so their process IDs can't be those of others."""
        until = time.monotonic() + PATIENCE  # a process that forks all the time can be faster than we are
        while (orphans := _children() - self._others) and time.monotonic() < until:
            for pid in orphans:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.002)

    def _wait(self, seconds: float) -> Any:
        """How it has ended, as waitid has it; None if it has not by then."""
        until = time.monotonic() + seconds
        while True:
            end = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if end or time.monotonic() > until:
                return end
            time.sleep(0.002)


def _children() -> set[int]:
    """Our children, also those that have ended and that nobody has waited for."""
    try:
        return set(map(int, Path("/proc/thread-self/children").read_text(encoding="ascii").split()))
    except OSError:  # the kernel does not list them
        return set()


def _live(work: Callable[[Send], None], pipe: int, identity: Identity, memory: int, parent: int) -> NoReturn:
    """All that the child does."""
    code = 1

    def send(message: Any) -> None:
        line = json.dumps(message, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
        while line:
            line = line[os.write(pipe, line) :]

    try:
        gc.freeze()  # so that no forgotten file of the parent's closes one of ours that has its number
        _leave_root(pipe, identity, memory, parent)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        work(send)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        send({_CRASH: repr(error)[:500]})
    finally:
        os._exit(code)


def _leave_root(pipe: int, identity: Identity, memory: int, parent: int) -> None:
    os.setsid()  # no terminal
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    for descriptor in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2 and descriptor != pipe:
            with contextlib.suppress(OSError):  # the one of the list itself
                os.close(descriptor)
    os.umask(0o077)
    os.chdir("/")
    os.environ.clear()
    os.environ.update(environment(identity))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # out of memory: before anything that serves
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = used + memory
    with contextlib.suppress(AttributeError):  # another C library than glibc
        ctypes.CDLL(None).mallopt(_MOST_HEAPS, 1)  # each further one, of a thread, takes 64 MiB of the limit
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    users.become(identity)
    # After that, as the kernel forgets it when the user changes.
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def environment(identity: Identity) -> Mapping[str, str]:
    """The environment of a process of this user, as systemd gives it to a service, with nothing of ours."""
    name, shell = identity.name, {"SHELL": identity.shell} if identity.shell else {}
    return {"PATH": PATH, "HOME": identity.home, "USER": name, "LOGNAME": name, **shell, "LANG": "C.UTF-8"}


def lift_memory_limit() -> None:
    """For a program that the child starts and that is not ours."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
