"""What the doctor says of all hosts together. Hosts may answer anything."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import is_hidden
from ansible_collections.evenkeel.celery.plugins.plugin_utils._doctor import table
from ansible_collections.evenkeel.celery.plugins.plugin_utils._doctor.summary import summarize
from hypothesis import given, settings
from hypothesis import strategies as st

FINDING = {
    "rule": "pickle",
    "severity": "warning",
    "where": ["shop"],
    "why": "accept_content has pickle.",
    "write": "Write settings: {accept_content: [json]}.",
}
SERIOUS = {**FINDING, "rule": "redis_failed_to_save", "severity": "serious", "why": "Redis could not save."}


def host(*findings, unknown=(), services=("shop",)):
    return [
        {
            "findings": list(findings),
            "services": {name: {"kind": "worker", "facts": {}} for name in services},
            "unknown": dict(unknown),
        },
        {"skipped": True},
    ]


@pytest.mark.parametrize(
    ("answers", "sentence", "serious", "warning"),
    [
        ({"vps": host()}, "1 service examined: nothing found.", False, False),
        ({"vps": host(FINDING)}, "1 service examined: 1 warning.", False, True),
        (
            {"a": host(FINDING), "b": host(FINDING, SERIOUS)},
            "2 services examined: 1 serious finding and 1 warning.",
            True,
            True,
        ),
        (
            {"vps": host(unknown={"shop": "the broker does not answer."})},
            "1 service examined: nothing found. 1 place could not be examined.",
            True,
            True,
        ),
        (
            {"gone": [{"unreachable": True, "msg": "No route to host"}]},
            "0 services examined: nothing found. 1 place could not be examined.",
            True,
            True,
        ),
        ({"vps": [{"skipped": True}, {"skipped": True}]}, "0 services examined: nothing found.", False, False),
    ],
)
def test_the_verdict(answers, sentence, serious, warning):
    summary = summarize(answers)
    assert summary.sentence == sentence
    assert [summary.fails(on) for on in ("serious", "warning", "never")] == [serious, warning, False]


def test_a_host_that_does_not_answer_is_named_with_its_reason():
    answers = {"gone": [{"unreachable": True, "msg": "No route to host."}], "odd": [{"module_stderr": "x\nno sudo"}]}
    assert summarize(answers).unknown == {"gone": "it can't be reached: No route to host", "odd": "no sudo"}


def test_what_is_the_same_on_several_hosts_is_said_once():
    summary = summarize({"a": host(FINDING), "b": host(FINDING)})
    assert [finding.where for finding in summary.findings] == [("a: shop", "b: shop")]
    ((text, _colour),) = table.paragraphs(summary, 80)
    assert "\n  where     a: shop; b: shop\n" in text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
FINDINGS = st.lists(st.sampled_from([FINDING, {**FINDING, "where": [1]}, {**FINDING, "why": None}, {}]), max_size=2)
ANSWER = JSON | st.fixed_dictionaries({"services": JSON, "findings": JSON | FINDINGS, "unknown": JSON})


@settings(max_examples=10)
@given(st.dictionaries(st.text(max_size=5), st.lists(ANSWER, max_size=2), max_size=2))
def test_whatever_hosts_answer_it_can_be_shown(answers):
    summary = summarize(answers)
    text = "\n".join(text for text, _colour in table.paragraphs(summary, 80)) + summary.sentence
    assert not any(is_hidden(character) for character in text if character != "\n")


def test_control_characters_and_rules_that_nobody_knows_are_not_shown():
    evil = {**FINDING, "why": "\x1b[2J" + "x" * 5000, "where": ["\x1b"]}
    (finding,) = summarize({"vps": host(evil, {**FINDING, "rule": "other"}, {**FINDING, "severity": "fatal"})}).findings
    assert finding.why.startswith(r"\x1b[2J")
    assert len(finding.why) < 1100
    assert finding.where == (r"vps: \x1b",)


def test_the_table_fits_a_narrow_terminal():
    texts = [text for text, _colour in table.paragraphs(summarize({"vps": host(FINDING, SERIOUS)}), 60)]
    assert [text.split(":")[0] for text in texts] == ["✗ serious", "! warning"]
    assert all(len(line) <= 60 for text in texts for line in text.splitlines())
