"""What services say of themselves, in the programs' own words."""

import ast

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.metrics import STATES
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.status import Status, parse
from hypothesis import given, settings
from hypothesis import strategies as st
from project import PROJECT

WATCHDOG = PROJECT / "roles/celery_worker/files/evenkeel_watchdog.py"
BEAT = PROJECT / "roles/celery_beat/files/evenkeel_beat.py"


def text(node):
    """A string of the source, with 7 in place of each value but what it does."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if not isinstance(node, ast.JoinedStr):
        return []
    return ["".join(each.value if isinstance(each, ast.Constant) else _placeholder(each) for each in node.values)]


def _placeholder(value):
    name = ast.unparse(value.value)
    return {"doing": "{doing}", "broker": ", the broker answers"}.get(name, "7")


def said(program):
    """All that a program may say of itself."""
    tree = ast.parse(program.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    direct = [each for call in calls for argument in call.args for each in text(argument)]
    yield from (
        each.removeprefix("STATUS=") for each in direct if each.startswith("STATUS=") and "self.status" not in each
    )
    does = [each for call in calls if ast.unparse(call.func).endswith("does") for each in text(call.args[0])]
    (status,) = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "status"]
    does += [
        each
        for node in ast.walk(status)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "doing"
        for each in text(node.value)
    ]
    (returned,) = [node.value for node in ast.walk(status) if isinstance(node, ast.Return)]
    (whole,) = text(returned)
    yield from (whole.replace("{doing}", each) for each in does)


SAID = [each for program in (WATCHDOG, BEAT) for each in said(program) if each != "7"]


def test_the_programs_say_something():
    assert len(SAID) > 12


@pytest.mark.parametrize("status", SAID)
def test_each_status_of_the_programs_is_understood(status):
    assert parse(status).state in STATES


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("ready; 2 running, 5 taken, 47 started in all", Status("ready", 2, 5, 47)),
        (
            "disconnected for 31 s, the broker answers; 0 running, 1 taken, 9 started in all",
            Status("disconnected", 0, 1, 9),
        ),
        ("stopping; 1 running, 1 taken, 9 started in all", Status("stopping", 1, 1, 9)),
        ("sick: the consumer's loop has not turned for 31 s", Status("hung")),
        ("starting: connecting to the broker", Status("starting")),
        ("waiting, next look in 5 s; 12 tasks sent", Status("ready", sent=12)),
        ("ticking; 12 tasks sent", Status("ready", sent=12)),
        ("the broker has not answered for 9 s, what is due waits for it; 3 tasks sent", Status("disconnected", sent=3)),
        (
            "sending nothing, as another beat of this application holds the lock: ready; 9 tasks sent; 0 tasks sent",
            Status("standby", sent=0),
        ),
    ],
)
def test_a_status_has_a_meaning(status, meaning):
    assert parse(status) == meaning


@settings(max_examples=20)
@given(st.text())
def test_what_other_programs_say_means_nothing(status):
    assert parse(f"Processing requests: {status}") == Status()
