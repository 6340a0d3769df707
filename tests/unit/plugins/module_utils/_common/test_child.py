"""A child process that is another user for good."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import child
from ansible_collections.evenkeel.celery.plugins.module_utils._common.child import Child, Ended, TooLate
from ansible_collections.evenkeel.celery.plugins.module_utils._common.users import Identity
from project import PROJECT

NOBODY = Identity(65534, 65534, (65534,))
MEMORY = 100 * 1024**2


def said(work, seconds=10):
    """The messages of a child, and how it ended."""
    ours, messages = Child(work, NOBODY, MEMORY), []
    try:
        while True:
            messages.append(ours.message(time.monotonic() + seconds))
    except Ended as end:
        return messages, end
    finally:
        ours.kill()


def test_messages_are_json_and_a_child_that_is_done_has_ended():
    def work(send):
        send({"a": [1, None, "ü\ud800"]})
        send("second")

    messages, end = said(work)
    assert messages == [{"a": [1, None, "ü\ud800"]}, "second"]
    assert str(end) == "ended with exit code 0"


ENDS = {
    "a crash": (lambda send: os.kill(os.getpid(), signal.SIGSEGV), "was killed by SIGSEGV"),
    "an error": (lambda send: 1 / 0, "has crashed: ZeroDivisionError('division by zero')"),
    "an exit": (lambda send: os._exit(7), "ended with exit code 7"),
    "an exit of Python": (lambda send: sys.exit(3), "ended with exit code 1"),
    "a flood": (lambda send: send("x" * 1_000_000), "sent more than 65536 bytes in one message"),
    "no JSON": (lambda send: os.write(3, b"x\n"), "sent an invalid message"),
    "deep JSON": (lambda send: os.write(3, b"[" * 60_000 + b"\n"), "sent an invalid message"),
    "no text": (lambda send: os.write(3, b"\xff\n"), "sent an invalid message"),
    "too much memory": (lambda send: bytearray(2 * MEMORY), "has crashed: MemoryError()"),
    "a forged crash": (lambda send: send({"crash": ["\x1b[2J\n"]}), "has crashed: ['\\x1b[2J\\n']"),
}


def ends(pid):
    """Whether this process is gone within two seconds."""
    until = time.monotonic() + 2
    while Path(f"/proc/{pid}/exe").exists() and time.monotonic() < until:
        time.sleep(0.01)
    return not Path(f"/proc/{pid}/exe").exists()


def to_pipe(work):
    """Has a test write to the pipe as number 3, whatever number it has."""

    def run(send):
        (pipe,) = [int(path.name) for path in Path("/proc/self/fd").iterdir() if int(path.name) > 2 and path.exists()]
        os.dup2(pipe, 3)
        work(send)

    return run


@pytest.mark.parametrize("case", ENDS)
def test_whatever_a_child_does_its_end_is_known(case):
    work, message = ENDS[case]
    messages, end = said(to_pipe(work))
    assert (messages, str(end)) == ([], message)


@pytest.mark.parametrize("deaf", [False, True])
def test_a_child_that_hangs_is_ended_with_what_it_has_started(deaf):
    def work(send):
        if deaf:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        send(subprocess.Popen(["/bin/sleep", "300"]).pid)
        time.sleep(300)

    messages, end = said(work, seconds=0.3)
    assert isinstance(end, TooLate)
    (sleeper,) = messages
    assert ends(sleeper), "what it has started goes on"


@pytest.mark.parametrize("how", ["ends", "hangs"])
def test_a_daemon_that_a_child_leaves_behind_is_ended(how):
    daemon = "import os, time\nos.fork() and os._exit(0)\nos.setsid()\nos.fork() and os._exit(0)\ntime.sleep(300)"

    def work(send):
        subprocess.run(
            ["/usr/bin/python3", "-c", daemon.replace("time.sleep", f"print({how!r}); time.sleep")], check=True
        )
        send("left")
        if how == "hangs":
            time.sleep(300)

    with subprocess.Popen(["/bin/sleep", "300"]) as ours:
        before = child._children()
        messages, _end = said(work, seconds=3 if how == "ends" else 0.5)
        after = child._children()
        ours.kill()
    assert messages == ["left"]
    assert ours.pid in before
    assert after == before, "its daemon is gone, and our own child is not"


def test_messages_without_an_end_end_in_time():
    def work(send):
        while True:
            send("again")

    ours, until = Child(work, NOBODY, MEMORY), time.monotonic() + 0.3
    with pytest.raises(TooLate):
        while ours.message(until) == "again" and time.monotonic() < until + 5:
            pass
    ours.kill()


def test_how_a_child_ends_is_known_even_if_the_caller_ignores_its_children():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert str(said(lambda send: os._exit(7))[1]) == "ended with exit code 7"
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_an_interrupted_child_can_finish():
    def work(send):
        try:
            send("begun")
            time.sleep(300)
        finally:
            send("finished")

    ours = Child(work, NOBODY, MEMORY)
    soon = time.monotonic() + 10
    assert ours.message(soon) == "begun"
    os.kill(ours._pid, signal.SIGINT)
    assert ours.message(soon) == "finished"
    ours.stop()


def test_a_child_has_nothing_of_ours(monkeypatch):
    monkeypatch.setenv("SECRET", "treacle")
    with Path(__file__).open(encoding="utf-8") as ours:
        os.set_inheritable(ours.fileno(), True)

        def work(send):
            send(sorted(os.environ))
            send([os.getsid(0) == os.getpid(), str(Path.cwd()), os.umask(0)])
            here = Path("/proc/self/fd")
            send(sorted(int(path.name) for path in here.iterdir() if path.exists()))
            send([str(here.joinpath(str(standard)).readlink()) for standard in range(3)])
            send(Path("/proc/self/oom_score_adj").read_text(encoding="utf-8"))

        (variables, here, descriptors, standard, oom), _end = said(work)
    assert variables == ["HOME", "LANG", "LOGNAME", "PATH", "USER"]
    assert here == [True, "/", 0o077]
    assert len(descriptors) == 4, "the standard ones and the pipe"
    assert standard == ["/dev/null"] * 3
    assert oom == "1000\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_roots_child_is_another_user_and_can_not_become_root_again():
    def work(send):
        send([*os.getresuid(), *os.getresgid(), *os.getgroups()])
        for back in (lambda: os.setresuid(0, 0, 0), lambda: os.setresgid(0, 0, 0), lambda: os.setgroups([0])):
            try:
                back()
            except PermissionError:
                send("refused")
        try:
            os.open("/proc/self/mem", os.O_RDONLY)
        except PermissionError:  # as for every other process of that user: root's memory can't be read in it
            send("unreadable")

    messages, _end = said(work)
    assert messages == [[65534] * 7, "refused", "refused", "refused", "unreadable"]


def test_a_program_that_the_child_starts_has_its_memory_back():
    def work(send):
        command = ["/bin/sh", "-c", "ulimit -v"]
        for each in (None, child.lift_memory_limit):
            send(subprocess.check_output(command, preexec_fn=each).decode().strip())

    (limited, lifted), _end = said(work)
    assert limited.isdigit()
    assert lifted == "unlimited" or int(lifted) > int(limited)


def test_a_child_dies_with_us():
    program = f"""
import os, sys, time
sys.path.insert(0, {str(PROJECT / "plugins/module_utils")!r})
from _common.child import Child
from _common.users import Identity
ours = Child(lambda send: (send(os.getpid()), time.sleep(300)), Identity(65534, 65534), 10**8)
print(ours.message(time.monotonic() + 10), flush=True)
time.sleep(300)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    assert ends(pid), "it lives on"
