"""What the probe is asked and started with, and what its answers mean."""

import os
import signal
import threading
from fnmatch import fnmatch

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import transient
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import answer, probe, probe_program
from workers import worker

MARK = "evenkeel-probe:"


@pytest.fixture
def ended(monkeypatch):
    """Sets how the probe's unit ends; returns the errors and warnings that follow."""

    def ends(output="", error="", outcome="exit-code", status=1, **options):
        result = transient.Result("evenkeel-probe-1.service", outcome, status, output, error, "KILL")
        monkeypatch.setattr(transient, "run", lambda *_: result)
        monkeypatch.setattr(probe.systemd, "why_not_prepared", lambda _: "Failed at step NAMESPACE")
        instance = worker(**{"user": "shop", "executable": "/srv/venv/bin/celery", **options})
        found = probe.ask([instance])
        return [*probe.errors(instance, found), *probe.warnings(instance, found)]

    return ends


TRACEBACK = """noise
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    1/0
ZeroDivisionError: division by zero

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "x.py", line 3, in <module>
    load()
pydantic.ValidationError: 2 errors for Settings
url
  field required
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (TRACEBACK, "pydantic.ValidationError: 2 errors for Settings"),
        (
            "Usage: …\nError: Invalid value for '-A':\n\nThe module nix was not found.\n\n",
            "The module nix was not found.",
        ),
        ("Traceback (most recent call last):\n  cut off", "cut off"),
        ("", ""),
    ],
)
def test_the_reason_is_the_last_exception_or_the_last_line(text, line):
    assert probe.reason(text) == line


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        ({"outcome": "timeout"}, "app 'shop' was not imported and checked within start_timeout 90s."),
        ({"outcome": "output"}, "app 'shop' writes more than 1M when it is imported."),
        ({"outcome": "oom-kill"}, "app 'shop' was killed when it was imported (oom-kill KILL)."),
        ({"status": 226}, "systemd can't start a process with this service's user, paths and sandbox: Failed at step"),
        (
            {"error": "ValueError: \x1b"},
            r"app 'shop' can't be loaded in /srv/shop as user shop: ValueError: \x1b. Check",
        ),
        ({"status": 7}, "app 'shop' can't be loaded in /srv/shop as user shop: it ended with exit code 7. Check"),
        (
            {"error": "ModuleNotFoundError: No module named 'celery'"},
            "executable '/srv/venv/bin/celery' has no working Celery: ModuleNotFoundError",
        ),
        (
            {"error": "ModuleNotFoundError: No module named 'evenkeel_watchdog'"},
            "executable '/srv/venv/bin/celery' does not look for modules in PYTHONPATH, where our own is. If it is a"
            " PEX, set environment: {PEX_INHERIT_PATH: fallback}.",
        ),
        (
            {"error": "ModuleNotFoundError: No module named 'gevent'", "pool": "gevent"},
            "pool gevent can't be used: ModuleNotFoundError",
        ),
        (
            {"outcome": "", "error": "Unknown assignment: X=1"},
            "executable '/srv/venv/bin/celery': the application, the broker and the memory limits could"
            " not be checked: Unknown assignment: X=1.",
        ),
        (
            {"outcome": "success", "status": 0},
            "executable '/srv/venv/bin/celery': the application, the broker and the memory limits could"
            " not be checked: it ended without an answer, as if its output went elsewhere.",
        ),
        ({"output": f"{MARK}[]"}, "app 'shop': something writes lines that begin with 'evenkeel-probe:'"),
        (
            {"output": f'{MARK}{{"directory": "Permission denied"}}'},
            "directory '/srv/shop' can't be used by user shop: Permission denied. Install",
        ),
        (
            {"output": f'{MARK}{{"executable": "No such file"}}'},
            "executable '/srv/venv/bin/celery' can't be run by user shop: No such file. Install",
        ),
        (
            {"output": f'{MARK}{{"child": false, "version": [5, 2]}}'},
            "executable '/srv/venv/bin/celery' is of Celery 5.2, which evenkeel.celery is not tested with. Install",
        ),
        ({"output": f'{MARK}{{"child": true}}'}, "executable '/srv/venv/bin/celery' runs Celery in a child process"),
        (
            {"output": f'{MARK}{{"child": false, "broker": "no kazoo", "transport": "zookeeper"}}'},
            "the broker URL needs a library that is not installed with Celery (no kazoo). Install kombu[zookeeper] in",
        ),
        (
            {"output": f'{MARK}{{"child": false, "broker": "refused", "uri": "redis://h"}}'},
            "the broker redis://h does not answer: refused. Start it",
        ),
        (
            {
                "output": f'{MARK}{{"child": false, "unknown_settings": {{"task_acks_lat": "task_acks_late"}}}}',
                "settings": {"task_acks_lat": True},
            },
            "settings: Celery has no setting 'task_acks_lat'. Did you mean 'task_acks_late'?",
        ),
    ],
)
def test_an_ending_becomes_a_sentence(ended, ending, sentence):
    (found,) = ended(**ending)
    assert found.startswith(sentence)


def test_a_good_answer_is_no_error(ended):
    assert ended(output=f'{MARK}{{"version": [5, 3], "child": false, "footprint": [1, 1, 1]}}') == []


def test_a_socket_that_the_sandbox_hides_is_explained(ended):
    answer = f'{MARK}{{"child": false, "broker": "no such file", "uri": "redis+socket:///tmp/redis.sock"}}'
    sentence = (
        "the broker's socket is in /tmp, which the sandbox hides from the service. Put it into another directory, or"
        " set sandbox: {PrivateTmp: false}."
    )
    assert sentence in ended(output=answer)
    assert len(ended(output=answer, sandbox={"PrivateTmp": False})) == 1


@pytest.mark.parametrize(("option", "path"), [("executable", "/home/shop/bin/celery"), ("directory", "/root/shop")])
def test_a_path_that_the_sandbox_hides_is_explained(ended, option, path):
    ending = {"output": f'{MARK}{{"{option}": "No such file"}}', option: path}
    _error, why = ended(**ending, sandbox={"ProtectHome": True})
    assert why.startswith(f"{option} is in {path.rpartition('/shop')[0]}, which the sandbox hides from the service.")
    assert why.endswith("or set sandbox: {ProtectHome: read-only}.")
    assert len(ended(**ending, sandbox={"ProtectHome": "read-only"})) == 1


def test_the_probe_has_the_properties_of_the_unit_but_is_not_supervised():
    found = dict(
        line.split("=", 1)
        for line in probe.properties(
            worker(
                user="shop",
                directory="/srv/50 % of it",
                writable_paths=["/srv/50 % of it/data"],
                sandbox={"ProtectSystem": "strict", "CapabilityBoundingSet": "", "Slice": "x.slice"},
            ),
            "/run/probe/programs",
        )
    )
    assert found["User"] == "shop"
    assert found["WorkingDirectory"] == "-/srv/50 % of it"
    assert found["ReadWritePaths"] == '"-/srv/50 % of it/data"'
    assert found["ProtectSystem"] == "strict"
    assert found["CapabilityBoundingSet"] == ""
    assert not {
        "Type",
        "ExecStart",
        "ExecStartPre",
        "EnvironmentFile",
        "Restart",
        "WatchdogSec",
        "Slice",
    } & set(found)


def test_what_a_killed_run_left_is_removed_after_a_day(monkeypatch, tmp_path):
    monkeypatch.setattr(probe, "_DIRECTORY", str(tmp_path))
    for name in ("evenkeel-probe-old", "evenkeel-probe-new", "another"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / "evenkeel-probe-old", (0, 0))
    os.utime(tmp_path / "another", (0, 0))
    assert probe.ask_each([]) == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", "evenkeel-probe-new"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_ends_its_units_and_removes_its_files(monkeypatch, tmp_path, number):
    monkeypatch.setattr(probe, "_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(probe.os, "cpu_count", lambda: 1)  # so that the second service still waits
    started, killed = [], threading.Event()

    def run(prefix, *_):
        started.append(prefix)
        assert list(tmp_path.iterdir())
        # A module has no other threads than these, but pytest has, and they would take a signal to the process.
        signal.pthread_kill(threading.main_thread().ident, number)
        assert killed.wait(60)
        raise transient.systemd.SystemdError

    monkeypatch.setattr(transient, "run", run)
    monkeypatch.setattr(transient, "kill", lambda units: fnmatch(f"{started[0]}-1", units) and killed.set())
    before = signal.signal(number, signal.SIG_DFL)  # nohup ignores SIGHUP
    try:
        with pytest.raises(KeyboardInterrupt):
            probe.ask_each([worker(user="shop"), worker(name="other", user="other")])
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert len(started) == 1
    assert not list(tmp_path.iterdir())


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        found = probe.for_each([worker()], probe.question, lambda _group: signal.getsignal(signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert list(found.values()) == [signal.SIG_IGN]


def test_an_answer_is_written_whole_although_the_pipe_is_small_and_does_not_block(monkeypatch):
    written, blocking = bytearray(), []
    monkeypatch.setattr(probe_program.os, "set_blocking", lambda *asked: blocking.append(asked))
    monkeypatch.setattr(probe_program.os, "write", lambda _one, some: written.extend(some[:100]) or len(some[:100]))
    probe_program.say({"mark": MARK}, {"failed": "x" * 1000})
    assert answer.read(written.decode(), worker())["failed"].startswith("xxx")
    assert blocking == [(1, True)]


@pytest.mark.parametrize(
    ("limits", "property"),
    [
        (["100M", "1G"], "MemoryMax=1073741824"),
        (["100M"], "MemoryMax=536870912"),
        (["100M", None], None),
    ],
)
def test_the_limit_of_the_probe_is_the_highest_of_its_workers(limits, property):
    found = probe._memory([worker(memory_max=limit) for limit in limits])
    assert found == [property] * bool(property)


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({"name": "other", "queues": ["other"], "concurrency": 4, "memory_max": "1G"}, True),
        ({"settings": {"task_acks_late": False}}, False),
        ({"settings": {"task_acks_lat": True}}, False),
        ({"environment": {"CELERY_BROKER_URL": "redis://other"}}, False),
        ({"sandbox": {}}, False),
        ({"writable_paths": ["/srv"]}, False),
        ({"user": "other"}, False),
        ({"pool": "threads"}, False),
        ({"app": "other"}, False),
    ],
)
def test_workers_for_which_the_probe_would_find_the_same_share_one_answer(options, same):
    first = worker(settings={"task_acks_late": True})
    assert (probe.question({**first, **options}) == probe.question(first)) is same


def test_a_result_backend_that_does_not_answer_is_a_warning():
    found = {"results_uri": "redis://results:6379/1", "results": "ConnectionError: refused."}
    (warning,) = probe.warnings(worker(), found)
    assert "result backend redis://results:6379/1 does not answer: ConnectionError: refused. Start it" in warning
