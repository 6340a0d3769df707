"""Beats are checked, changed, rolled back and removed like workers."""

import json
from pathlib import Path

import pytest
import yaml

CONVERGE, ROLLBACK = "molecule/beat/converge.yml", "playbooks/rollback.yml"


def variables(change):
    """Extra variables: the scenario's beats, changed."""
    (play,) = yaml.safe_load(Path(__file__).with_name("converge.yml").read_text())
    given = play["roles"][0]["vars"]
    return "--extra-vars", json.dumps({**given, "celery_beat_instances": change(given["celery_beat_instances"])})


@pytest.fixture
def runs(server):
    """The current run of each beat."""
    return lambda: {unit: server.run_of(unit).id for unit in ("idle", "hung", "damaged", "database")}


def test_check_mode_shows_the_schedule_and_its_mistakes(ansible_output):
    output = ansible_output("molecule/beat/mistakes.yml", "--check")
    text = " ".join(output.split())
    for expected in (
        "mistakes: nightly: clock.tick to queue mistakes, next at ",
        " 02:00 Europe/Berlin, ",
        "entry 'misspelt' sends the task 'clock.tock', which the application does not have.",
        "entry 'unheard' is sent to queue 'nobody', from which no worker of the inventory consumes.",
        "entry 'often' is due several times a day in Europe/Berlin.",
    ):
        assert expected in text, output
    assert "entry 'nightly'" not in text


def test_a_beat_that_was_started_by_hand_is_ended_before_the_first_start(host):
    assert host.run("pgrep --full [s]chedule./opt/shop/data/by-hand").rc == 1
    journal = host.check_output("journalctl --no-pager --output=cat --unit=evenkeel-stale-beats-idle")
    assert "is a beat of clock in /opt/shop" in journal
    assert "has finished" in journal


def test_a_change_restarts_only_that_beat_and_can_be_rolled_back(server, ansible_playbook, runs):
    before, unit = runs(), server.host.file("/etc/systemd/system/idle.service").content_string

    def changed(beats):
        return [{**beat, "max_interval": "1min"} if beat["name"] == "idle" else beat for beat in beats]

    assert ansible_playbook(CONVERGE, *variables(changed))["changed"] == 1
    after = runs()
    assert {name for name in before if after[name] != before[name]} == {"idle"}
    assert "--max-interval=60" in server.host.file("/etc/systemd/system/idle.service").content_string

    idle = variables(lambda beats: [beat for beat in beats if beat["name"] == "idle"])
    assert ansible_playbook(ROLLBACK, *idle)["changed"] == 1
    assert server.host.file("/etc/systemd/system/idle.service").content_string == unit
    assert server.run_of("idle").state == "active"


def test_a_beat_that_is_removed_leaves_nothing_not_even_its_schedule(host, ansible_playbook):
    assert host.file("/var/lib/evenkeel/beat/ahead/schedule.pickle").exists
    ansible_playbook(CONVERGE, *variables(lambda beats: [beat for beat in beats if beat["name"] != "ahead"]))
    left = host.check_output("find /etc /usr/local /var/lib/evenkeel/beat /run/systemd -name 'ahead*'")
    assert left == ""
    assert host.run("systemctl is-active ahead").stdout.strip() == "inactive"
