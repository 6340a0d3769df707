"""The action that shows on the controller what the doctor has found."""

import json
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleError
from ansible_collections.evenkeel.celery.plugins.action import celery_doctor_summary

FINDING = {"rule": "pickle", "severity": "warning", "where": ["shop"], "why": "Why.", "write": "What."}
ANSWERS = {"vps": [{"findings": [FINDING], "services": {"shop": {}}, "unknown": {}}]}


@pytest.fixture
def run(monkeypatch):
    """Runs the action with these arguments; what it showed is in `run.shown`."""
    shown = []
    display = SimpleNamespace(display=lambda text, color=None: shown.append(text))
    monkeypatch.setattr(celery_doctor_summary, "Display", lambda: display)

    def act(**options):
        task = Mock(args={"answers": ANSWERS, **options}, async_val=0, check_mode=False, diff=False)
        return celery_doctor_summary.ActionModule(task, Mock(), Mock(), None, None, None).run()

    act.shown = shown
    return act


@pytest.mark.parametrize(("fail_on", "failed"), [("serious", False), ("warning", True), ("never", False)])
def test_it_fails_when_asked_to(run, fail_on, failed):
    result = run(fail_on=fail_on)
    assert (result["failed"], result["warning"], result["msg"]) == (failed, 1, "1 service examined: 1 warning.")


def test_json_has_all_that_the_table_has(run):
    run(format="json")
    answer = json.loads(run.shown[0])
    assert answer["findings"] == [
        {**FINDING, "where": ["vps: shop"], "line": "Whoever can write to the broker can execute code"}
    ]
    run(format="table")
    assert "vps: shop" in run.shown[2]


@pytest.mark.parametrize(("complete", "warnings"), [(True, 1), (False, 0)])
def test_while_some_hosts_were_left_out_no_queue_is_said_to_be_without_a_worker(run, complete, warnings):
    facts = {
        "service": {"node": "w@vps", "queues": ["celery"]},
        "queues": {"broker": "4f2a 0", "queues": [{"name": "mail", "messages": 7, "consumers": None}]},
        "workers": {"workers": [], "silent": [], "listening": 0},
    }
    answers = {"vps": [{"findings": [], "services": {"shop": {"kind": "worker", "facts": facts}}, "unknown": {}}]}
    assert run(answers=answers, complete=complete)["warning"] == warnings


def test_a_rule_that_does_not_exist_is_refused_with_those_that_do(run):
    with pytest.raises(AnsibleError, match=r"(?s)must be one or more of.*pickle.*Got no match for: pikle"):
        run(ignore=["pikle"])
