"""The action that makes the report on the controller."""

import json
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleError
from ansible_collections.evenkeel.celery.plugins.action import celery_report_summary
from reports import GONE, answer, worker

ALL_WELL = {"vps": {"report": answer()}}


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the action with these arguments; what it showed is in `run.shown`."""
    monkeypatch.chdir(tmp_path)
    shown = []
    display = SimpleNamespace(display=lambda text, color=None: shown.append(text))
    monkeypatch.setattr(celery_report_summary, "Display", lambda: display)

    def act(answers, check=False, **options):
        task = Mock(args={"answers": answers, **options}, async_val=0, check_mode=check, diff=False)
        return celery_report_summary.ActionModule(task, Mock(), Mock(), None, None, None).run()

    act.shown = shown
    return act


def test_each_file_has_what_its_ending_says(run, tmp_path):
    result = run(ALL_WELL, file=["vps.html", "vps.json", str(tmp_path / "vps.txt")])
    assert result["files"] == [str(tmp_path / name) for name in ("vps.html", "vps.json", "vps.txt")]
    assert (tmp_path / "vps.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "vps.json").read_text())["exit_code"] == result["exit_code"] == 0
    assert (tmp_path / "vps.txt").read_text().startswith("All is well")


def test_check_mode_writes_no_file(run, tmp_path):
    assert run(ALL_WELL, check=True, file=["vps.html"])["verdict"] == "fine"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("form", "begins"), [("table", "\nAll is well"), ("json", "{")])
def test_the_terminal_shows_a_table_or_json(run, form, begins):
    run(ALL_WELL, format=form)
    assert run.shown[0].startswith(begins)


def test_the_terminal_shows_nothing_if_asked(run):
    run(ALL_WELL, format="none")
    assert run.shown == []


@pytest.mark.parametrize(
    ("answers", "fail_on", "failed"),
    [
        (ALL_WELL, "unknown", False),
        ({"vps": GONE}, "wrong", True),
        ({"vps": GONE}, "never", False),
        ({"vps": {"report": answer(samples=[])}}, "wrong", False),
        ({"vps": {"report": answer(worker(before=None))}}, "unknown", True),
    ],
)
def test_the_play_fails_when_it_was_asked_to(run, answers, fail_on, failed):
    result = run(answers, fail_on=fail_on)
    assert result["failed"] is failed
    assert result["msg"].endswith(".")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"file": ["report"]}, "ends in none of .html, .json, .txt. Name it report.html, for example."),
        ({"file": ["/nowhere/report.html"]}, "the directory /nowhere does not exist on the controller. Create it."),
        ({"days": -1}, "days: -1 is out of range"),
        ({"goals": {"memory": "much"}}, "goals.memory: 'much' is not a size"),
        ({"format": "yaml"}, "value of format must be one of"),
    ],
)
def test_wrong_options_are_refused(run, options, error):
    with pytest.raises(AnsibleError, match=error.replace(".", r"\.")):
        run(ALL_WELL, **options)


def test_with_pings_the_checks_are_shown(run):
    result = run(ALL_WELL, pings={"vps": {"pings": {"shop-worker": {"answers": False, "why": "silence"}}}})
    assert (result["failed"], result["msg"]) == (True, "1 of 9 checks is not ok.")
    assert "silence" in run.shown[1]
