"""Numbers and times for people."""

import pytest
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report import words
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.wanted import wanted
from reports import DAY, HOUR, NOW


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (1023, "1023 B"),
        (2**20 * 83, "83 MiB"),
        (2**30 * 1.5, "1.5 GiB"),
        (2**30 * 24, "24 GiB"),
    ],
)
def test_sizes(number, text):
    assert words.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0314, "31 ms"),
        (2.54, "2.5 s"),
        (45, "45 s"),
        (60, "1 min"),
        (90, "90 s"),
        (HOUR, "1 h"),
        (2 * DAY, "2 d"),
    ],
)
def test_durations(seconds, text):
    assert words.span(seconds) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (None, "–"),
        (NOW - HOUR, "today, 02:44"),
        (NOW - 4 * HOUR, "Thu 26, 23:44"),
        (NOW - 90 * DAY, "29 Aug 2026"),
        (2.0**62, "31 Dec 9999"),
    ],
)
def test_moments(moment, text):
    assert words.when(moment, NOW) == text


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (list("abcd"), "a, b, c and d"),
        (list("abcde"), "a, b, c and 2 others"),
    ],
)
def test_lists(texts, text):
    assert words.listed(texts) == text


@pytest.mark.parametrize(
    ("days", "goals", "error"),
    [
        (0, {}, "days: 0 is out of range. Set a number above 0, and at most 366."),
        (7, {"memory": "much"}, "goals.memory: 'much' is not a size: write a number with K, M, G or T"),
        (7, {"stuck_for": "soon"}, "goals.stuck_for: 'soon' is not a duration: write 300 (seconds), 30s"),
        (7, {"refusals_down": 101}, "goals.refusals_down: 101 is no percentage. Set 0 to 100."),
        (7, {"refusals_before": -1}, "goals.refusals_before: -1 is out of range. Set a number from 0."),
    ],
)  # fmt: skip
def test_goals_that_make_no_sense_are_refused(days, goals, error):
    with pytest.raises(ValueError) as raised:
        wanted(days, goals)
    assert str(raised.value).startswith(error)
