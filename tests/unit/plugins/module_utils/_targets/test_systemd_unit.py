"""The unit and the environment file, parsed as systemd parses them."""

import json
import re

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery import command
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import node_name
from ansible_collections.evenkeel.celery.plugins.module_utils._targets import (
    deployed,
    stale_workers,
    systemd_unit,
    unit_text,
)
from hypothesis import given
from hypothesis import strategies as st
from workers import beat, worker

TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1)


def settings(unit):
    """A unit's settings by their names: {"ExecStart": ["…"], …}."""
    found = {}
    for line in unit.splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def split(line):
    """The words of an Exec line, as in systemd.service(5) and systemd.syntax(7): quotes, C escapes, %% and $$."""
    words, rest = [], line
    while rest:
        quoted = re.match(r'"((?:[^"\\]|\\.)*)"(?: |$)', rest)
        word = quoted[1] if quoted else rest.split(" ", 1)[0]
        rest = rest[quoted.end() :] if quoted else rest[len(word) + 1 :]
        if quoted:
            word = re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), word)
        words.append(word.replace("$$", "$").replace("%%", "%"))
    return words


@given(st.lists(TEXT, min_size=1))
def test_systemd_passes_the_arguments_on_unchanged(arguments):
    assert split(unit_text.command_line(arguments)) == arguments


@given(st.dictionaries(st.from_regex(r"[a-z]+_[a-z_]+", fullmatch=True), st.booleans() | st.integers() | TEXT))
def test_settings_keep_their_type_on_the_command_line(wanted):
    line = command.command(worker(settings=wanted))
    words = line[line.index("--") + 1 :] if wanted else []
    pairs = [word.split("=(json)", 1) for word in words]
    assert {name: json.loads(value) for name, value in pairs} == wanted


@given(st.dictionaries(st.from_regex(r"[A-Z_]+", fullmatch=True).filter(lambda name: name != "PYTHONPATH"), TEXT))
def test_the_environment_file_keeps_each_value_as_it_is(wanted):
    text = systemd_unit.environment(worker(environment=wanted))
    found = re.findall(r'^([A-Z_]+)="((?:[^"\\]|\\.)*)"$', text, re.MULTILINE | re.DOTALL)
    assert {name: re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL) for name, value in found} == wanted


def test_the_watchdogs_directory_is_appended_to_the_applications_pythonpath():
    text = systemd_unit.environment(worker(environment={"PYTHONPATH": "/srv/lib"}))
    assert 'PYTHONPATH="/srv/lib:/usr/local/lib/evenkeel/w"' in text


def test_a_variable_without_a_value_is_left_out():
    assert "GONE" not in systemd_unit.environment(worker(environment={"GONE": None}))


def test_modules_to_include_are_in_one_option_with_the_watchdog():
    line = command.command(worker(settings={"include": ["shop.reports", "shop.mail"]}))
    assert "--include=shop.reports,shop.mail,evenkeel_watchdog" in line
    assert "--" not in line


def test_the_node_name_of_an_instance_of_a_template_unit_has_one_at_sign():
    assert node_name(worker(name="shop@1")) == "shop-1@%h"


def test_a_description_is_one_line():
    unit = systemd_unit.unit(worker(description="100 %\nExecStartPre=/bin/false\n"))
    assert settings(unit)["Description"] == ["100 %% ExecStartPre=/bin/false"]


def test_the_unit_of_a_worker_with_default_options():
    unit = settings(systemd_unit.unit(worker()))
    assert unit["KillMode"] == ["mixed"]
    assert unit["OOMPolicy"] == ["continue"]
    assert unit["Type"] == ["notify"]
    assert unit["TimeoutStopSec"] == ["300"]
    assert unit["TimeoutAbortSec"] == ["10"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert "MemoryMax" not in unit
    assert "-n" not in split(unit["ExecStart"][0])
    assert "--hostname=w@%h" in split(unit["ExecStart"][0])


def test_autoscale_replaces_the_number_of_children():
    words = command.command(worker(autoscale=[8, 2], concurrency=4))
    assert "--autoscale=8,2" in words
    assert not any(word.startswith("--concurrency") for word in words)


@pytest.mark.parametrize(
    ("options", "directive", "value"),
    [
        ({"time_limit": "30m"}, "TimeoutStopSec", ["1830"]),
        ({"settings": {"task_time_limit": 1800}}, "TimeoutStopSec", ["1830"]),
        ({"time_limit": "30m", "stop_timeout": "10s"}, "TimeoutStopSec", ["10"]),
        ({"watchdog": "0"}, "WatchdogSec", None),
        ({"memory_max": "800M"}, "MemoryMax", ["800M"]),
        ({"sandbox": {"PrivateTmp": False}}, "PrivateTmp", None),
        ({"sandbox": {"PrivateTmp": True}}, "PrivateTmp", ["yes"]),
        ({"sandbox": {"PrivateTmp": False}, "writable_paths": ["/c"]}, "ReadWritePaths", ["/c /tmp /var/tmp"]),
        ({"start_timeout": "1min", "stale_workers_timeout": "30s"}, "TimeoutStartSec", ["1min"]),
        ({}, "LimitCORE", ["0"]),
        ({"sandbox": {"LimitCORE": False}}, "LimitCORE", None),
        ({"writable_paths": ["/a b", "/c"]}, "ReadWritePaths", ['"/a b" /c']),
    ],
)
def test_options_set_directives(options, directive, value):
    assert settings(systemd_unit.unit(worker(**options))).get(directive) == value


@pytest.mark.parametrize(
    ("options", "limit", "seconds"),
    [
        ({}, 1500, 1530),
        ({}, 60, 300),
        ({"time_limit": "2min"}, 1500, 1530),
        ({"time_limit": "1h"}, 1500, 3630),
        ({"stop_timeout": "10min"}, 1500, 600),
    ],
)
def test_a_stop_takes_longer_than_a_time_limit_of_the_application(options, limit, seconds):
    instance = {**worker(**options), "application_limit": limit}
    assert command.stop_timeout(instance) == seconds
    assert settings(systemd_unit.unit(instance))["TimeoutStopSec"] == [str(seconds)]


@pytest.mark.parametrize("options", [{}, {"time_limit": "1h"}, {"stop_timeout": "20d"}, {"stop_timeout": "1.5s"}])
def test_as_long_as_the_applications_limit_is_not_known_a_stop_takes_no_less_time_than_before(options):
    before = worker(**options)
    after = {**worker(time_limit="1min"), "application_limit": deployed.read(systemd_unit.unit(before)).time_limit}
    assert command.stop_timeout(after) == max(90, command.stop_timeout(before))


def test_the_original_units_time_to_stop_is_not_a_time_limit():
    assert deployed.read("[Service]\nTimeoutStopSec=7200\n").time_limit == 0


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, "290"),
        ({"time_limit": "30m"}, "1820"),
        ({"stop_timeout": "4s"}, "2"),
        ({"stop_timeout": "0"}, None),
        ({"pool": "threads"}, None),
    ],
)
def test_unfinished_tasks_are_returned_after_the_time_limit_and_before_systemd_kills_the_worker(options, seconds):
    assert command.hand_back(worker(**options)) == seconds
    (environment,) = settings(systemd_unit.unit(worker(**options)))["Environment"]
    assert f"EVENKEEL_HAND_BACK={seconds}" in environment or seconds is None


def test_max_memory_per_child_is_passed_to_celery_in_kib():
    assert "--max-memory-per-child=512000" in command.command(worker(max_memory_per_child="500M"))


NOTHING_OF_THE_WORKER = {"environment": {"LD_PRELOAD": "/srv/shop/evil.so", "PYTHONPATH": ""}, "directory": "/srv/shop"}
NEEDED = {"CAP_KILL", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}


def test_a_worker_runs_nothing_as_root():
    unit = settings(systemd_unit.unit(worker(**NOTHING_OF_THE_WORKER)))
    commands = [command for name, values in unit.items() if name.startswith("Exec") for command in values]
    assert len(commands) == 2
    assert all(command.startswith("/") for command in commands)


def test_the_search_for_stale_workers_has_nothing_of_the_workers_environment():
    unit = settings(stale_workers.search_unit(worker(**NOTHING_OF_THE_WORKER)))
    assert not [name for name in unit if name in ("User", "Group", "WorkingDirectory") or "Environment" in name]
    (command,) = map(split, unit["ExecStart"])
    assert command[:4] == ["/usr/bin/python3", "-I", "-S", "/usr/local/lib/evenkeel/w/stale_workers.py"]
    assert set(unit["CapabilityBoundingSet"][0].split()) == NEEDED


def test_each_start_of_a_worker_waits_for_the_search_and_fails_while_it_says_why():
    unit, search = settings(systemd_unit.unit(worker())), settings(stale_workers.search_unit(worker()))
    assert "evenkeel-stale-workers-w.service" in unit["Wants"][0].split()
    assert "evenkeel-stale-workers-w.service" in unit["After"][0].split()
    (command,) = map(split, search["ExecStart"])
    (reason,) = [word.split("=")[1] for word in command if word.startswith("--reason=")]
    assert split(unit["ExecStartPre"][0]) == ["/bin/sh", "-c", f"! /bin/cat {reason} 2>/dev/null"]
    assert float(search["TimeoutStartSec"][0]) > 60


@given(st.lists(TEXT, min_size=1, max_size=3), TEXT)
def test_the_search_looks_for_exactly_this_worker(users, app):
    (line,) = settings(stale_workers.search_unit(worker(app=app, user=users[0], stale_workers_users=users[1:])))[
        "ExecStart"
    ]
    words = split(line)
    assert f"--app={app}" in words
    assert [word for word in words if word.startswith("--user=")] == [f"--user={user}" for user in users]


def test_the_unit_of_a_beat_with_default_options():
    unit = settings(systemd_unit.unit(beat()))
    assert split(unit["ExecStart"][0]) == [
        *("/usr/bin/celery", "-A", "shop", "beat", "--loglevel=info"),
        "--schedule=/var/lib/evenkeel/beat/b/schedule",
        "--scheduler=evenkeel_beat:scheduler",
        *("--", "beat_sync_every=(json)1"),
    ]
    assert unit["StateDirectory"] == ["evenkeel/beat/b"]
    assert unit["StateDirectoryMode"] == ["0700"]
    assert unit["TimeoutStopSec"] == ["30"]
    assert "time-sync.target" in unit["After"][0].split()
    assert "time-sync.target" not in unit["Wants"][0].split()
    assert unit["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert unit["Description"] == ["Celery beat b"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"scheduler": "redbeat.RedBeatScheduler"}, 'beat_scheduler=(json)"redbeat.RedBeatScheduler"'),
        ({"max_interval": "1min"}, "--max-interval=60"),
        ({"settings": {"beat_sync_every": 5}}, "beat_sync_every=(json)5"),
    ],
)
def test_options_of_a_beat_are_on_the_command_line(options, word):
    assert word in command.command(beat(**options))


def test_the_lock_is_asked_for_only_if_it_is_set():
    assert "EVENKEEL_LOCK" not in systemd_unit.unit(beat())
    assert "EVENKEEL_LOCK=1" in settings(systemd_unit.unit(beat(lock=True)))["Environment"][0]


def test_the_search_looks_for_beats_of_every_node():
    unit = settings(stale_workers.search_unit(beat(stale_beats_users=["root"])))
    words = split(unit["ExecStart"][0])
    assert "--kind=beat" in words
    assert "--user=root" in words
    assert not [word for word in words if word.startswith("--node")]
