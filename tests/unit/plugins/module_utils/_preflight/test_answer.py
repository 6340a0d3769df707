"""The probe's answer may be forged: nothing of another form counts, and all texts are fit to be shown."""

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import is_hidden
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight.answer import MARK, AnswerError, read
from hypothesis import given
from hypothesis import strategies as st
from workers import worker

INSTANCE = worker(
    writable_paths=["/srv/shop/data"], settings={"task_acks_lat": True}, environment={"DB_PASSWORD": "geheim-4711"}
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NAMES = st.sampled_from(
    [
        *(
            "absent",
            "closed",
            "roots",
            "directory",
            "executable",
            "failed",
            "version",
            "child",
            "unknown_settings",
            "uri",
        ),
        *("broker", "transport", "footprint", "time_limits", "databases", "another"),
    ]
)


def test_an_answer_is_what_its_lines_say_together():
    lines = ["noise", MARK + '{"absent": ["/srv/shop/data"]}', f"noise {MARK}", MARK + '{"child": false}']
    assert read("\n".join(lines), INSTANCE) == {"absent": ["/srv/shop/data"], "child": False}


def test_texts_are_printable_short_and_without_secrets():
    answer = read(MARK + json.dumps({"broker": "\x1b]0;owned\x07 geheim-4711 " + "x" * 10_000}), INSTANCE)
    assert answer["broker"].startswith(r"\x1b]0;owned\x07 ******** xxx")
    assert len(answer["broker"]) < 600


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "[]",
        "[" * 50_000,
        "1" * 50_000,
        '{"closed": {"/etc/shadow": ["/etc/shadow", 0, 0, 0]}}',
        '{"closed": {"/srv/shop/data": ["/etc/shadow", 0, 0, 0]}}',
        '{"closed": {"/srv/shop/data": ["/srv", 0, 0, "x"]}}',
        '{"roots": [1, ["/etc/shadow"]]}',
        '{"roots": [1, ["/srv/shop/data/../../../etc/shadow"]]}',
        '{"roots": [1, ["/srv/shop/data/.."]]}',
        '{"transport": "redis]\'; id #"}',
        '{"unknown_settings": {"task_acks_late": null}}',
        '{"unknown_settings": {"task_acks_lat": "x; y"}}',
        '{"footprint": [1, 2]}',
        '{"footprint": [1, 2, true]}',
        '{"footprint": [1, 2, 1e999]}',
        '{"footprint": [1, 2, -1]}',
        '{"version": [5]}',
        '{"version": ["5", 2]}',
        '{"time_limits": [1800]}',
        '{"time_limits": [0, -1]}',
        '{"time_limits": [0, 1e999]}',
        '{"broker": {"a": 1}}',
        '{"absent": ["/etc"]}',
        '{"user": "root"}',
    ],
)
def test_an_answer_of_another_form_is_refused(forged):
    with pytest.raises(AnswerError):
        read(MARK + forged, INSTANCE)


@given(st.dictionaries(NAMES, JSON) | JSON)
def test_no_answer_is_more_than_refused(data):
    try:
        answer = read(MARK + json.dumps(data), INSTANCE)
    except AnswerError:
        return
    for text in (value for value in answer.values() if isinstance(value, str)):
        assert not any(map(is_hidden, text))  # isprintable() knows only the characters of Python's Unicode


@given(st.text())
def test_no_output_is_more_than_refused(text):
    try:
        read(f"{MARK}{text}", INSTANCE)
        read(text, INSTANCE)
    except AnswerError:
        pass
