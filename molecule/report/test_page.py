"""What a person has to find on the report's page, in Chromium: on three widths, in the dark and on paper."""

import json

import pytest
from states import STATES

WIDTHS = ("500", "1000", "1600")
VIEWS = (*WIDTHS, "dark", "print")
RUNBOOK = "https://github.com/evenkeel/celery/blob/main/docs/runbook.md"


@pytest.fixture(scope="module")
def seen(host):
    """What the browser saw of each page, by the name of its state."""
    paths = {name: f"/opt/report/{name}.html" for name in STATES}
    found = json.loads(host.check_output("python3 /opt/report/look.py " + " ".join(paths.values())))
    return {name: found[path] for name, path in paths.items()}


@pytest.fixture(params=[(name, view) for name in STATES for view in VIEWS], ids="-".join)
def view(request, seen):
    name, view = request.param
    return seen[name][view]


def test_nothing_is_wider_than_the_screen(view):
    assert (view["overflow"], view["outside"]) == (0, [])


def test_each_text_stands_out_and_is_large_enough(view):
    contrast, text = view["contrast"]
    assert contrast >= 4.5, text
    assert view["smallest_text"] >= 9


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_verdict_is_seen_first(seen, name, width):
    assert seen[name][width]["verdict_ends_at"] < 450


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("well", "All is well: both services run, and all 5 goals are met."),
        ("sick", "2 services are down and 3 goals are not met."),
        ("young", "The service runs. Whether the goals are met can't be known yet."),
        ("names", "1 service is down."),
        ("fleet", "1 host did not answer and 1 service is down."),
        ("gone", "2 hosts did not answer."),
    ],
)
def test_the_verdict_is_in_the_title_too(seen, name, sentence):
    assert seen[name]["1000"]["title"].startswith(sentence)
    assert sentence in seen[name]["1000"]["text"]


@pytest.mark.parametrize("name", STATES)
def test_headings_lead_from_the_verdict_to_the_sources(seen, name):
    headings = seen[name]["1000"]["headings"]
    first = [text for tag, text in headings if tag == "H2" and text in ("What to do", "Goals", "Services")]
    assert [tag for tag, _text in headings].count("H1") == 1
    assert headings[0][0] == "H1"
    assert headings[-1] == ["H2", "How this was found out"]
    assert first == [each for each in ("What to do", "Goals", "Services") if each in first]


@pytest.mark.parametrize("name", STATES)
def test_nothing_leaves_the_page(seen, name):
    page = seen[name]
    assert page["requests"] == [f"file:///opt/report/{name}.html"]
    assert page["1000"]["scripts"] == 0
    assert page["console"] == []  # where Chromium says what the page's policy forbids


def test_a_link_to_a_service_unfolds_its_card(seen):
    for name, page in seen.items():
        assert all(not page[view]["dead_links"] for view in VIEWS)
        assert page["followed"] is None or page["followed"]["shown"], name


def test_paper_shows_what_is_folded(seen):
    folded, printed = (seen["fleet"][view]["text"].count("active tasks") for view in ("1000", "print"))
    assert folded < printed


def test_the_dark_page_is_dark(seen):
    assert seen["well"]["1000"]["ground"] == "rgb(255, 255, 255)"
    assert seen["well"]["dark"]["ground"] == "rgb(18, 22, 26)"


def test_what_to_do_names_the_host_that_is_gone_first(seen):
    text = seen["fleet"]["500"]["text"]
    assert text.index("app10.example.com: No answer: it can't be reached") < text.index("worker-2 is down")
