"""What the doctor found, in sentences: bounded and printable, whatever applications and brokers tell."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.findings import (
    LONGEST,
    WARNING,
    Finding,
    Rule,
    Service,
    Trap,
    of_services,
    some,
)
from workers import worker


def test_a_sentence_is_bounded_and_printable():
    rule = Rule("caches", WARNING, "A cache", "", lambda _service: [Trap("\x1b" + "x" * 60_000, "y" * 60_000)])
    (found,) = of_services([rule], [Service(worker(name="shop"))])
    assert found.sentence.startswith(r"shop: \x1bxxx")
    assert found.sentence.endswith("… (docs/doctor.md, caches)")
    assert len(found.sentence) < 2 * LONGEST + 100
    assert all(len(text) < LONGEST + 10 for text in (found.as_data()["why"], found.as_data()["write"]))


def test_a_finding_has_the_severity_of_its_rule_unless_the_trap_has_another():
    rule = Rule("eager", WARNING, "Eager", "")
    assert [Finding.of(rule, ["shop"], Trap("", "", severity)).severity for severity in ("", "hint")] == [
        "warning",
        "hint",
    ]


@pytest.mark.parametrize(("names", "text"), [([], ""), ("abc", "a, b, c"), ("abcd", "a, b, c, …")])
def test_a_sentence_names_some_things(names, text):
    assert some(names) == text
