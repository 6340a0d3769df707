"""What the end of a preflight_command means."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery import errors as options_errors
from ansible_collections.evenkeel.celery.plugins.module_utils._common import transient
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import commands, probe
from workers import beat, worker

COMMAND = ["venv/bin/python", "manage.py", "check me"]
SHOWN = "preflight_command \"venv/bin/python manage.py 'check me'\""


@pytest.fixture
def failure(monkeypatch):
    """Sets how the command's unit ends; returns what is said about it, and how often it ran."""

    def ends(*workers, outcome="exit-code", status=1, output="", error=""):
        runs = []
        result = transient.Result("evenkeel-probe-1.service", outcome, status, output, error, "KILL")
        monkeypatch.setattr(probe, "start", lambda group, *_: runs.append(group) or result)
        default = worker(preflight_command=COMMAND, environment={"DB_PASSWORD": "geheim-4711"})
        return commands.errors(list(workers) or [default]), len(runs)

    return ends


def test_success_is_not_mentioned(failure):
    assert failure(outcome="success", status=0) == ({}, 1)


def test_a_service_without_a_command_runs_none(failure):
    assert failure(worker(), beat()) == ({}, 0)


def test_services_with_the_same_command_share_it(failure):
    workers = [worker(name=name, preflight_command=COMMAND) for name in "ab"]
    found, runs = failure(*workers, worker(name="c", preflight_command=[*COMMAND, "-v"]))
    assert (sorted(found), runs) == (["a", "b", "c"], 2)


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        ({"outcome": "timeout"}, "had not ended within start_timeout 90s. Make it faster, or raise start_timeout."),
        ({"outcome": "output"}, "writes more than 1M. Let it write less."),
        (
            {"output": 'evenkeel-probe:{"executable": "No such file or directory"}'},
            "can't be run by user celery: No such file or directory. Correct the program's path.",
        ),
        ({"output": "evenkeel-probe:[]"}, "failed (exit code 1). Correct what it says:\n  (it wrote nothing)"),
        ({"outcome": "signal", "error": "x"}, "failed (signal KILL). Correct what it says:\n  x"),
        (
            {"output": "one\n\n", "error": "two \x1b[31m geheim-4711", "status": 3},
            "failed (exit code 3). Correct what it says:\n  one\n  two \\x1b[31m ********",
        ),
    ],
)
def test_an_ending_becomes_a_sentence(failure, ending, sentence):
    assert failure(**ending)[0] == {"w": f"{SHOWN} {sentence}"}


def test_of_much_text_the_end_is_shown_without_secrets_that_were_cut_off(failure):
    text = "geheim-4711 " * 500 + "\n" + "\n".join(f"line {number}" for number in range(30))
    shown = failure(error=text)[0]["w"]
    assert shown.endswith("line 29")
    assert "line 20\n" in shown
    assert "line 19\n" not in shown
    assert "4711" not in failure(error="geheim-4711 " * 1000)[0]["w"]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["python", "x"], "w: preflight_command 'python' is not the path of a program. Write it with a '/'"),
        (["./x", "--url=pg://u:geheim@h"], "w: preflight_command contains a password, which every user"),
    ],
)
def test_a_command_that_is_not_valid_is_refused(command, sentence):
    (error,) = options_errors.errors([worker(preflight_command=command)])
    assert error.startswith(sentence)
    assert "geheim" not in error
