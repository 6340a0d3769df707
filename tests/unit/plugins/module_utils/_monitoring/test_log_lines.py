"""What the lines of a log say."""

import re

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import is_hidden
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import log_lines
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.config import Service
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.journal import Entry
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.log_lines import Line
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.metrics import OTHER_TASKS, OUTCOMES
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.options import RATE_LIMITED
from hypothesis import given, settings
from hypothesis import strategies as st

ID = "c9a02153-429a-4095-875f-a5ee3cd7720b"
PREFIX = "[2026-11-27 10:30:00,429: INFO/ForkPoolWorker-2] "
read = log_lines.reader(RATE_LIMITED)
GREP = log_lines.question([Service("w", "worker")]).grep


def kinds(message):
    found = [line.kind for line in read(Entry(1.0, "", message, {}))]
    assert not found or re.search(GREP, message), "journalctl does not find the line"
    return found


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (f"{PREFIX}Task shop.order[{ID}] succeeded in 429.1s: None", Line(1.0, "succeeded", "shop.order", 429.1)),
        (
            f"{PREFIX}Task shop.order[{ID}] succeeded in 5.74e-05s: {{'a': 1}}",
            Line(1.0, "succeeded", "shop.order", 5.74e-05),
        ),
        (f"Task naïve.задача[{ID}] succeeded in 1.0s: None", Line(1.0, "succeeded", "naïve.задача", 1.0)),
        (f"{PREFIX}Task shop.order[{ID}] raised unexpected: ValueError('429')", Line(1.0, "failed", "shop.order")),
        (f"{PREFIX}Task shop.order[{ID}] raised expected: ValueError()", Line(1.0, "failed", "shop.order")),
        (f"{PREFIX}Task shop.order[{ID}] INTERNAL ERROR: KeyError()", Line(1.0, "failed", "shop.order")),
        (f"{PREFIX}Hard time limit (300.0s) exceeded for shop.order[{ID}]", Line(1.0, "failed", "shop.order")),
        (f"{PREFIX}Task shop.order[{ID}] retry: Retry in 3s: OSError()", Line(1.0, "retried", "shop.order")),
        (f"INFO celery.app.trace Task shop.order[{ID}] succeeded in 2s: 1", Line(1.0, "succeeded", "shop.order", 2.0)),
        (
            "evenkeel_watchdog: asking systemd for a restart: the loop\x1b[2J",
            Line(1.0, "asked", why="the loop\\x1b[2J"),
        ),
        ("evenkeel_beat: asking systemd for a restart: late", Line(1.0, "asked", why="late")),
    ],
)
def test_a_line_has_a_meaning(message, line):
    assert kinds(message) == [line.kind]
    assert list(read(Entry(1.0, "", message, {}))) == [line]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (f"{PREFIX}the image API answered 429 Too Many Requests, again in 3 s", ["rate limited"]),
        (f"{PREFIX}HTTP 429", ["rate limited"]),
        ("requests.exceptions.HTTPError: 429 Client Error", ["rate limited"]),
        ("google.api_core.exceptions.ResourceExhausted: RESOURCE_EXHAUSTED", ["rate limited"]),
        (
            f"{PREFIX}Task shop.order[{ID}] retry: Retry in 3s: HTTPError('429 Client Error')",
            ["retried", "rate limited"],
        ),
        (f"{PREFIX}all is well", []),
        (f"{PREFIX}waited 10:30:00,429: and 429.1s, order 429-7, 1429, x429", []),
        (f"{PREFIX}Task shop.order[{ID}] received", []),
        ('    raise RuntimeError("429 Too Many Requests")', []),
        (
            "Task handler raised error: WorkerLostError('Worker exited prematurely: signal 9 (SIGKILL) Job: 17.')",
            ["lost"],
        ),
        ("billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 17.", []),
        ("another beat of this application holds the lock: other:7. This one sends nothing", ["standby"]),
        ("Task [] succeeded in s: ", []),
        ("", []),
    ],
)
def test_a_line_is_counted_for_what_it_says(message, said):
    assert kinds(message) == said


@settings(max_examples=50)
@given(st.text(max_size=300), st.text(max_size=300))
def test_whatever_an_application_writes_is_counted_once(before, after):
    for message in (
        before + after,
        f"{before}Task a[{after}] succeeded in {after}s: ",
        f"{before}Task {after}[1] retry: ",
    ):
        found = list(read(Entry(1.0, "", message, {})))
        assert len(found) <= 2
        assert sum(line.kind in OUTCOMES for line in found) <= 1
        assert all(len(line.task) <= log_lines.LONGEST_NAME for line in found)
        assert not any(map(is_hidden, "".join(line.task for line in found)))


def test_of_many_names_few_are_shown():
    known = {}
    for number in range(100_000):
        known[log_lines.shown_as(f"task-{number}", known)] = True
    assert len(known) == log_lines.MOST_NAMES + 1
    assert OTHER_TASKS in known
    assert log_lines.shown_as("task-7", known) == "task-7"


def test_a_line_takes_no_time_however_it_is_made():
    """Of each end that a task could have, only the beginning is looked at."""
    for part in ("Task a[b", "Task [", "[b", "429", "Task x[" + "y" * 199):
        assert not [line for line in read(Entry(1.0, "", part * 100_000, {})) if line.task]


def test_a_long_name_is_cut_off():
    (line,) = read(Entry(1.0, "", f"Task {'x' * 999}[1] succeeded in 1s: None", {}))
    assert line.task == "x" * (log_lines.LONGEST_NAME - 1) + "…"


def test_with_a_pattern_of_an_operators_own_journalctl_leaves_nothing_out():
    """Its grammar is PCRE's."""
    assert log_lines.question([Service("w", "worker", rate_limited="(?P<x>slow down)")]).grep == ""
