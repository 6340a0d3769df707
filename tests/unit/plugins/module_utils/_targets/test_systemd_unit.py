"""The unit, read back the way systemd reads it."""

import json
import re

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery import command, options
from ansible_collections.evenkeel.celery.plugins.module_utils._targets import systemd_unit
from hypothesis import given
from hypothesis import strategies as st
from workers import worker

TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1)


def settings(unit):
    """{"ExecStart": ["…"], …} of a unit's text."""
    found = {}
    for line in unit.splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def split(line):
    """An Exec line as systemd.service(5) and systemd.syntax(7) have it: quotes, C escapes, %% and $$."""
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
def test_systemd_reads_the_very_arguments(arguments):
    assert split(systemd_unit.command_line(arguments)) == arguments


@given(st.dictionaries(st.from_regex(r"[a-z]+_[a-z_]+", fullmatch=True), st.booleans() | st.integers() | TEXT))
def test_settings_keep_their_type_on_the_command_line(wanted):
    line = command.command(worker(settings=wanted))
    said = line[line.index("--") + 1 :] if wanted else []
    pairs = [word.split("=(json)", 1) for word in said]
    assert {name: json.loads(value) for name, value in pairs} == wanted


@given(st.dictionaries(st.from_regex(r"[A-Z_]+", fullmatch=True).filter(lambda name: name != "PYTHONPATH"), TEXT))
def test_the_environment_file_says_each_value_as_it_is(wanted):
    text = systemd_unit.environment(worker(environment=wanted))
    found = re.findall(r'^([A-Z_]+)="((?:[^"\\]|\\.)*)"$', text, re.MULTILINE | re.DOTALL)
    assert {name: re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL) for name, value in found} == wanted


def test_the_application_keeps_its_pythonpath_and_the_watchdog_stays_in_reach():
    text = systemd_unit.environment(worker(environment={"PYTHONPATH": "/srv/lib"}))
    assert 'PYTHONPATH="/srv/lib:/usr/local/lib/evenkeel/w"' in text


def test_a_variable_without_a_value_is_left_out():
    assert "GONE" not in systemd_unit.environment(worker(environment={"GONE": None}))


def test_modules_to_include_stand_beside_the_watchdog():
    line = command.command(worker(settings={"include": ["shop.reports", "shop.mail"]}))
    assert "--include=shop.reports,shop.mail,evenkeel_watchdog" in line
    assert "--" not in line


def test_a_template_units_worker_has_a_node_name_of_its_own():
    assert options.node_name(worker(name="shop@1")) == "shop-1@%h"


def test_a_description_is_one_line():
    unit = systemd_unit.unit(worker(description="100 %\nExecStartPre=/bin/false\n"))
    assert settings(unit)["Description"] == ["100 %% ExecStartPre=/bin/false"]


def test_what_a_worker_is_by_default():
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


@pytest.mark.parametrize(
    ("said", "directive", "value"),
    [
        ({"time_limit": "30m"}, "TimeoutStopSec", ["1830"]),
        ({"settings": {"task_time_limit": 1800}}, "TimeoutStopSec", ["1830"]),
        ({"time_limit": "30m", "stop_timeout": "10s"}, "TimeoutStopSec", ["10"]),
        ({"watchdog": "0"}, "WatchdogSec", None),
        ({"memory_max": "800M"}, "MemoryMax", ["800M"]),
        ({"sandbox": {"PrivateTmp": False}}, "PrivateTmp", None),
        ({"sandbox": {"PrivateTmp": True}}, "PrivateTmp", ["yes"]),
        ({"sandbox": {"PrivateTmp": False}, "writable_paths": ["/c"]}, "ReadWritePaths", ["/c /tmp /var/tmp"]),
        ({"start_timeout": "1min", "stale_workers_timeout": "30s"}, "TimeoutStartSec", ["90"]),
        ({"writable_paths": ["/a b", "/c"]}, "ReadWritePaths", ['"/a b" /c']),
    ],
)
def test_directives(said, directive, value):
    assert settings(systemd_unit.unit(worker(**said))).get(directive) == value


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, "290"),
        ({"time_limit": "30m"}, "1820"),
        ({"stop_timeout": "4s"}, "2"),
        ({"stop_timeout": "0"}, None),
        ({"pool": "threads"}, None),
    ],
)
def test_unfinished_tasks_are_handed_back_after_the_time_limit_and_before_systemds_end(said, seconds):
    assert command.hand_back(worker(**said)) == seconds
    (environment,) = settings(systemd_unit.unit(worker(**said)))["Environment"]
    assert f"EVENKEEL_HAND_BACK={seconds}" in environment or seconds is None


def test_celery_counts_a_childs_memory_in_kib():
    assert "--max-memory-per-child=512000" in command.command(worker(max_memory_per_child="500M"))
