"""The tests and files that the documentation names exist."""

import re

import pytest
from project import PROJECT

PAGES = [
    page for pattern in ("*.md", "docs/*.md", "[a-z]*/README.md", "*/*/README.md") for page in PROJECT.glob(pattern)
]
TESTS = [test for part in ("molecule", "tests", "bench", "rig") for test in (PROJECT / part).rglob("test_*.py")]
# What an inventory is called is its owner's choice.
PARTS = {part.name for part in PROJECT.glob("[a-z]*/") if part.name != "inventory"}


def code(page):
    """What a page shows in the typeface of code, by line."""
    return re.findall(r"(?<!`)`([^`\n]+)`", page.read_text())


def page_name(page):
    return str(page.relative_to(PROJECT))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_test_that_a_page_names_exists(page):
    existing = {name for test in TESTS for name in re.findall(r"(?m)^def (test_\w+)", test.read_text())}
    assert {words for words in code(page) if re.fullmatch(r"test_\w+", words)} <= existing


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_file_that_a_page_names_exists(page):
    """NAME and VERSION stand for any."""
    paths = [words for words in code(page) if re.fullmatch(r"([\w.-]+/)+[\w.-]*", words)]
    ours = [path for path in paths if path.split("/")[0] in PARTS and not re.search("NAME|VERSION", path)]
    assert [path for path in ours if not (PROJECT / path).exists() and not (page.parent / path).exists()] == []


def test_every_fault_has_a_test():
    rows = re.findall(r"(?m)^\| .*", (PROJECT / "docs/faults.md").read_text())
    faults = [row for row in rows if not row.startswith("| fault |")]
    assert faults
    assert [row for row in faults if not re.search(r"`test_\w+(\.py)?`|\| the same \|$", row)] == []
