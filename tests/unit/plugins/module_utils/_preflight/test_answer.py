"""The probe's answer may be forged: nothing of another form counts, and all texts are fit to be shown."""

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import is_hidden
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import answer as module
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


def facts(**sections):
    return MARK + json.dumps({"facts": sections})


NODES = {"nodes": {"w@%h": "w@a"}}


@pytest.mark.parametrize(
    "line",
    [
        facts(settings=NODES)[:-9],  # its writer was killed
        MARK + '{"facts": ["x"]}',
        MARK + '{"facts": {"x": ' + "[" * 700 + "]" * 700 + "}}",
        facts(settings={"nodes": [[[[]]]], "x": "y"}),
        facts(queues={"broker": "x" * 60_000}),
    ],
    ids=["cut off", "a list", "deep", "another form", "long"],
)
def test_facts_that_cannot_be_read_are_not_told_and_nothing_else_is_lost(line):
    lines = [MARK + '{"child": false}', line, facts(versions={"celery": "5.4.0"})]
    answer = read("\n".join(lines), INSTANCE)
    assert answer["child"] is False
    assert {name for name, known in answer["facts"].items() if known} == {"versions"}


def test_names_among_the_facts_are_shown_without_secrets():
    answer = read(facts(settings={"routes": {"mail-geheim-4711": "shop.geheim-4711"}}), INSTANCE)
    assert answer["facts"]["settings"]["routes"] == {"mail-********": "shop.********"}


def test_texts_are_searched_for_secrets_once_and_of_too_many_none_is_told(monkeypatch):
    searched = []
    monkeypatch.setattr(module, "without_secrets", lambda text, _instances: searched.append(text) or text)
    nodes, entries, silent = ([f"{part}{number} ".ljust(200, "a") for number in range(120)] for part in "abc")
    nodes, entries = ({text: text for text in texts} for texts in (nodes, entries))
    lines = [facts(settings={"nodes": nodes}), facts(service={"entries": entries}), facts(workers={"silent": silent})]
    answer = read("\n".join([MARK + '{"child": false}', *lines]), INSTANCE)
    assert answer["facts"]["settings"] == {"nodes": nodes}
    assert answer["facts"]["service"] == {"entries": entries}
    assert not answer["facts"]["workers"]
    assert sum(map(len, searched)) < 2**17
    assert len(searched) == len(set(searched))


def test_an_answer_with_too_many_texts_is_refused():
    with pytest.raises(AnswerError):
        read(MARK + json.dumps({"migrations": [f"{number:08}" for number in range(5500)]}), INSTANCE)
