"""The module swapfile: its options, check mode, and the changes that it reports."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import locks
from ansible_collections.evenkeel.celery.plugins.module_utils._swap import settings
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.apply import Runner
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.options import SWAP
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.plan import File, Host, Step
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.settings import Settings
from ansible_collections.evenkeel.celery.plugins.modules import swapfile as module
from module_args import patch_module_args

PATH = "/swapfile"
G = 1 << 30
EMPTY = Host(File(PATH), File("/swapfile.evenkeel-new"), "ext4", free=10 * G, memory=4 * G)
FRESH = Settings("", "", 60)
SET = Settings(f"{PATH} none swap sw 0 0\n", "# Managed by evenkeel.celery\nvm.swappiness = 10\n", 10)
INACTIVE = File(PATH, "swap file", 2 * G, 2 * G)
ACTIVE = replace(EMPTY, file=replace(INACTIVE, active=True))


@pytest.fixture(autouse=True)
def lock(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOCK", str(tmp_path / "lock"))
    return tmp_path / "lock"


def run(monkeypatch, capsys, host, before=SET, check_mode=True, **params):
    """The module's result on a host, with the steps that it took."""
    taken = []
    monkeypatch.setattr(module, "look", lambda path: host)
    monkeypatch.setattr(settings, "look", lambda: before)
    monkeypatch.setattr(settings, "apply", lambda before, after, run: taken.append(after))
    monkeypatch.setattr(Runner, "take", lambda self, step: taken.append(step))
    monkeypatch.setattr(module, "AnsibleModule", quiet(module.AnsibleModule))
    with patch_module_args({**params, "_ansible_check_mode": check_mode}), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out), taken


def quiet(base):
    return type("Quiet", (base,), {"log": lambda self, *args, **options: None})


def test_check_mode_reports_the_steps_and_takes_none(monkeypatch, capsys):
    result, taken = run(monkeypatch, capsys, EMPTY, FRESH, swappiness=10)
    assert result["changed"]
    assert result["steps"][0] == "make /swapfile.evenkeel-new"
    assert result["steps"][-3:] == [
        "change /etc/fstab",
        "change /etc/sysctl.d/zz-evenkeel-swap.conf",
        "change /proc/sys/vm/swappiness",
    ]
    file, fstab, sysctl, kernel = result["diff"]
    assert file["before"] == {"path": PATH, "state": "absent"}
    assert file["after"]["size"] == "2G"
    assert (fstab["before"], fstab["after"]) == ("", SET.fstab)
    assert (sysctl["before"], sysctl["after"]) == ("", SET.sysctl)
    assert (kernel["before"], kernel["after"]) == ("60\n", "10\n")
    assert not taken


def test_fstab_has_the_file_only_while_it_exists(monkeypatch, capsys):
    result, taken = run(monkeypatch, capsys, ACTIVE, check_mode=False, state="absent", swappiness=10)
    assert taken == [replace(SET, fstab="", sysctl=""), Step("off", PATH), Step("remove", PATH)]
    assert result["diff"][0]["after"] == {"path": PATH, "state": "absent"}

    _result, taken = run(monkeypatch, capsys, replace(ACTIVE, file=INACTIVE), FRESH, check_mode=False)
    assert taken == [Step("on", PATH), replace(FRESH, fstab=SET.fstab)]


def test_a_host_in_the_wanted_state_is_not_changed(monkeypatch, capsys):
    result, taken = run(monkeypatch, capsys, ACTIVE, check_mode=False, swappiness=10)
    assert (result["changed"], result["steps"], taken) == (False, [], [SET])
    assert all(each["before"] == each["after"] for each in result["diff"])


@pytest.mark.parametrize("why", [{"filesystem": "tmpfs"}, {"refusal": "it is built without swap"}])
def test_an_unsupported_file_system_or_kernel_is_an_error_or_skipped(monkeypatch, capsys, why):
    host = replace(EMPTY, **why)
    result = run(monkeypatch, capsys, host)[0]
    assert result["failed"]
    assert next(iter(why.values())) in result["msg"]
    assert run(monkeypatch, capsys, host, unsupported="skip")[0]["skipped"]


def test_where_swap_is_on_already_it_does_not_matter_what_the_kernel_would_refuse(monkeypatch, capsys):
    assert not run(monkeypatch, capsys, replace(ACTIVE, refusal="it is built without swap"), swappiness=10)[0][
        "changed"
    ]


def test_only_one_run_changes_the_swap_and_check_mode_does_not_wait_for_it(monkeypatch, capsys, lock):
    with locks.hold(lock):
        result, taken = run(monkeypatch, capsys, EMPTY, check_mode=False)
        assert "Another run (process" in result["msg"]
        assert not taken
        assert run(monkeypatch, capsys, EMPTY)[0]["changed"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"size": "much"}, "size: 'much' is not a size"),
        ({"size": "4K"}, "size: 4K is too small. Set at least 1M"),
        ({"reserve": "-1G"}, "reserve: '-1G' is not a size"),
        ({"path": "swapfile"}, "path: 'swapfile' can't be a swap file"),
        ({"path": "/"}, "path: '/' can't be a swap file"),
        ({"swappiness": 201}, "swappiness: 201 is out of range. Set a number from 0 to 200"),
        ({"path": "/a\\b"}, "can't be a swap file"),
        ({"path": "/a\u2028b"}, "path: '/a\\u2028b' contains the character U+2028. Remove it."),
        ({"path": "/a b"}, "path: '/a b' can't be a swap file"),
    ],
)
def test_errors_in_options_are_reported(monkeypatch, capsys, params, words):
    result, _taken = run(monkeypatch, capsys, EMPTY, **params)
    assert words in result["msg"]


# For each option a value that has an effect on one of the hosts below.
SAMPLES = {
    "state": "absent",
    "path": "/another",
    "size": "3G",
    "swappiness": 20,
    "reserve": "100G",
    "unsupported": "skip",
}


@pytest.mark.parametrize("name", [option.name for option in SWAP])
def test_every_option_has_an_effect(monkeypatch, capsys, name):
    hosts = (EMPTY, replace(EMPTY, filesystem="tmpfs"))
    default = [run(monkeypatch, capsys, host) for host in hosts]
    assert [run(monkeypatch, capsys, host, **{name: SAMPLES[name]}) for host in hosts] != default
