"""The facts may be forged: what does not have its form is not known, and never an error."""

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.facts import FORMS, NOTHING_KNOWN, read
from hypothesis import given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=5,
)
NAMES = [(section, name) for section, forms in FORMS.items() for name in forms]


@settings(max_examples=10)
@given(st.lists(st.tuples(st.sampled_from(NAMES), JSON), max_size=5))
def test_whatever_is_told_each_section_is_there_and_each_fact_has_its_form(told):
    given_facts = {}
    for (section, name), value in told:
        given_facts.setdefault(section, {})[name] = value
    facts = read(given_facts)
    assert facts.keys() == FORMS.keys()
    assert all(FORMS[section][name](value) for section, known in facts.items() for name, value in known.items())
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize("forged", [None, [], "x", {"settings": []}, {"settings": {"unknown": 1}}, {"other": {}}])
def test_what_has_another_form_is_not_known(forged):
    assert read(forged) == NOTHING_KNOWN


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tasks", -1),
        ("tasks", True),
        ("tasks", float("inf")),
        ("results", "x" * 300),
        ("accepted", ["x"] * 1000),
        ("nodes", {"x" * 300: "a"}),
    ],
)
def test_a_value_that_is_out_of_bounds_is_not_known(name, value):
    assert read({"settings": {name: value, "late": 1}})["settings"] == {"late": 1}


def test_texts_are_printable():
    facts = read({"settings": {"results": "\x1b[31m", "nodes": {"\u202ea": "b\n"}}})
    assert facts["settings"] == {"results": r"\x1b[31m", "nodes": {r"\u202ea": r"b\n"}}
