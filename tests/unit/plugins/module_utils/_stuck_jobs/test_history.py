"""One more error in a list of errors."""

from __future__ import annotations

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.history import NO_LIST, with_entry
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
ENTRY = {"at": "2026-01-18T12:00:00Z", "error": 'ît\'s "gone"\n', "attempts": 3}


@given(st.lists(JSON), st.sampled_from((None, 2)))
def test_it_is_appended(entries, indent):
    assert json.loads(with_entry(json.dumps(entries, indent=indent), ENTRY)) == [*entries, ENTRY]


@pytest.mark.parametrize("old", [None, "", "[]", " [ ] "])
def test_nothing_and_an_empty_list_begin_one(old):
    assert json.loads(with_entry(old, ENTRY)) == [ENTRY]


def test_what_was_there_stays_as_it_was_written():
    old = '[1.10, {"a":1,"a":2},\n 1e999]'
    assert with_entry(old, {"error": "ü"}) == old[:-1] + ', {"error": "ü"}]'


@pytest.mark.parametrize("old", ["boom", "{}", '"[]"', "[1", "[NaN]", b"[]", 7, "[" * 100_000, "[" + "9" * 5000 + "x]"])
def test_anything_else_is_no_list(old):
    assert with_entry(old, ENTRY) is NO_LIST
