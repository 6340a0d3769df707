"""The page: one file that loads nothing, in which texts of hosts are only texts.

A browser looks at it in molecule/report.
"""

import re
from html.parser import HTMLParser

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.summary_options import RUNBOOK
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report import advice
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.html import EMPTY, element
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.page import page
from project import PROJECT
from report_summary import summary
from reports import DAY, GONE, HOUR, NOW, answer, end, hours, worker

HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b[31m"


class Elements(HTMLParser):
    """The elements of a page, each with its attributes, and what is open at the end."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def values(self, attribute):
        return [attributes[attribute] for _tag, attributes in self.found if attribute in attributes]


def sick():
    """A host with all that a page can show."""
    ends = [end(NOW - number * HOUR, "crashed", HOSTILE) for number in range(30)]
    task = {"succeeded": 1, "failed": 1, "retried": 1, "seconds": 1.0, "longest": 1.0, "last": None}
    service = worker(
        HOSTILE, state="hung", status=HOSTILE, events=ends, hours=hours(3, 2, 1, 9), tasks={HOSTILE: task, "t": task},
        ours_since=NOW - 2 * DAY, journal_since=NOW - 3 * DAY, leftovers=[HOSTILE],
        memory={"working": 5, "peak": 9, "max": 9},
    )  # fmt: skip
    samples = [{"t": NOW - each * HOUR, "used": 2**30, "services": {HOSTILE: [4]}} for each in range(9, 0, -1)]
    return answer(service, worker("empty", state="stopped", memory={}, hours=[], tasks={}), samples=samples)


def elements(*hosts):
    found = Elements(page(summary(*hosts), RUNBOOK, 2**30))
    assert found.open == []
    return found


@pytest.mark.parametrize("hosts", [[answer()], [sick(), GONE], [GONE], [answer(services=[])]])
def test_it_is_well_formed_and_begins_with_the_verdict(hosts):
    found = elements(*hosts)
    assert [tag for tag, _attributes in found.found].count("h1") == 1
    assert found.text.index(summary(*hosts).sentence) < found.text.index("How this was found out")


def test_texts_of_hosts_are_only_texts():
    found = elements(sick())
    assert {tag for tag, _attributes in found.found} & {"script", "img", "iframe", "link", "object"} == set()
    assert "<script>alert(1)</script>" in found.text
    assert not {"\u202e", "\x1b"} & set(found.text)


def test_nothing_is_loaded_and_no_script_runs():
    found = elements(sick())
    (policy,) = [each["content"] for _tag, each in found.found if "http-equiv" in each]
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; form-action 'none'", policy)
    assert not found.values("src") and not found.values("style") and "url(" not in found.text
    assert not [name for _tag, attributes in found.found for name in attributes if name.startswith("on")]


def test_links_lead_to_places_that_exist():
    found = elements(sick(), answer(), GONE)
    links, ids = found.values("href"), found.values("id")
    assert len(ids) == len(set(ids)) == 3
    assert {link[1:] for link in links if link.startswith("#")} == set(ids)
    assert {link.partition("#")[0] for link in links} == {"", RUNBOOK}


def test_the_runbook_has_what_the_advice_links_to():
    headings = re.findall(r"(?m)^#+ (.+)$", (PROJECT / "docs/runbook.md").read_text())
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {advice.LOOK, advice.STALE, advice.STUCK} <= anchors


def test_a_fleet_unfolds_only_what_is_wrong():
    fleet = [
        answer(*(worker(f"w{number}") for number in range(4)), worker("bad", state="failed")) for _host in range(3)
    ]
    opened = [("open" in attributes) for tag, attributes in elements(*fleet).found if tag == "details"]
    assert opened == [False, False, False, False, True] * 3


def test_an_element_escapes_all_that_is_no_element():
    text = element("p", "<b>", [1, None, element("i", "&")], class_='"', data_label="x", title=None)
    assert text == '<p class="&quot;" data-label="x">&lt;b&gt;1<i>&amp;</i></p>'
