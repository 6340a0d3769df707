"""The module celery_report: its options and its errors."""

import json
from types import SimpleNamespace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.systemd import SystemdError
from ansible_collections.evenkeel.celery.plugins.modules import celery_report as module
from module_args import patch_module_args

WORKER = {"name": "w"}


@pytest.fixture
def run(monkeypatch, capsys):
    """The module's result. collect: what stands for the collector."""

    def result(
        collect=lambda services, days, age: SimpleNamespace(to_dict=lambda: [str(services), days, age]), **params
    ):
        monkeypatch.setattr(module, "collect", collect)
        with (
            patch_module_args({"services": [WORKER], **params, "_ansible_check_mode": True}),
            pytest.raises(SystemExit),
        ):
            module.main()
        return json.loads(capsys.readouterr().out)

    return result


def test_it_changes_nothing_also_in_check_mode(run):
    found = run()
    assert found["changed"] is False
    assert found["report"][1:] == [7.0, ""]
    assert "name='w', kind='worker', log_level='info'" in found["report"][0]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"days": 0}, "days is 0. Set a number from above 0 to 366."),
        ({"days": 1000}, "days is 1000. Set a number from above 0 to 366."),
        ({"services": [{**WORKER, "rate_limited": "429("}]}, "w: rate_limited '429(' is not a regular expression: "),
    ],
)
def test_wrong_options_are_refused(run, params, message):
    assert run(**params)["msg"].startswith(message)


def test_a_host_that_can_not_be_asked_says_why(run):
    def fail(services, days, age):
        raise SystemdError("System has not been booted with systemd")

    assert run(fail)["msg"] == "System has not been booted with systemd"
