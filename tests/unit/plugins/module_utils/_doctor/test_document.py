"""docs/doctor.md explains each rule as the table has it."""

import re

from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.rules import RULES
from project import PROJECT

RULES_IN_DOCUMENT = (PROJECT / "docs/doctor.md").read_text().partition("\n# The rules\n")[2]


def test_each_rule_has_a_heading_its_severity_and_line_and_its_source():
    headings = re.findall(r"^## (\w+)\n\n(.+)\.\n\n(?:.*\n)*?Source: <(.+)>$", RULES_IN_DOCUMENT, re.MULTILINE)
    assert headings == [(rule.name, f"{rule.severity.capitalize()}: {rule.line}", rule.source) for rule in RULES]
