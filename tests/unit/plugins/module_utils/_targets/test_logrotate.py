"""How logrotate renames log files, and which services have one."""

import grp
import pwd
from types import SimpleNamespace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery import log_file
from ansible_collections.evenkeel.celery.plugins.module_utils._targets import logrotate, systemd_unit
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.kinds import KINDS
from workers import PROGRAMS, beat, worker

CONFIGURATION = "/etc/logrotate.d/evenkeel-w.conf"
ELSEWHERE = {"log_file": "/srv/log/w.log"}


@pytest.fixture(autouse=True)
def shop_users(monkeypatch):
    """The user `shop`, whose primary group is `shops`."""
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {"shop": SimpleNamespace(pw_gid=1)}[name])
    monkeypatch.setattr(grp, "getgrgid", lambda gid: {1: SimpleNamespace(gr_name="shops")}[gid])


def directives(instance):
    """Of the unit, those that have to do with logs, and the environment."""
    names = ("LogsDirectory", "LogsDirectoryMode", "LogRateLimitBurst", "ReadWritePaths", "Environment")
    found = dict(systemd_unit.sections(instance)["Service"])
    return {name: found[name] for name in names if found.get(name)}


@pytest.mark.parametrize("nothing", [None, False, ""])
def test_by_default_there_is_only_the_journal(nothing):
    without = worker(log_file=nothing)
    assert log_file.path(without) is None
    assert CONFIGURATION not in KINDS["worker"].files(without, PROGRAMS)
    assert set(directives(without)) == {"Environment"}
    assert "LOG_FILE" not in directives(without)["Environment"]


def test_each_service_has_a_directory_of_its_own():
    unit = directives(worker(log_file=True))
    assert (unit["LogsDirectory"], unit["LogsDirectoryMode"]) == ("evenkeel/w", "0750")
    assert "EVENKEEL_LOG_FILE=/var/log/evenkeel/w/w.log" in unit["Environment"].split()
    assert "ReadWritePaths" not in unit
    assert directives(beat(log_file=True))["LogsDirectory"] == "evenkeel/b"


def test_another_directory_is_writable_in_the_sandbox():
    unit = directives(worker(writable_paths=["/data"], **ELSEWHERE))
    assert unit["ReadWritePaths"] == "/data /srv/log"
    assert "LogsDirectory" not in unit
    assert "EVENKEEL_LOG_FILE=/srv/log/w.log" in unit["Environment"].split()


def test_the_journals_limit_is_an_option():
    assert directives(worker(log_rate_limit=1000000))["LogRateLimitBurst"] == 1000000


def test_the_file_is_renamed_as_its_user():
    files = KINDS["worker"].files(worker(user="shop", log_max_size="10M", **ELSEWHERE), PROGRAMS)
    text = files[CONFIGURATION].content.decode()
    assert text.startswith("# Managed by evenkeel.celery")
    lines = [line.strip() for line in text.splitlines()[1:]]
    assert lines[0] == "/srv/log/w.log {"
    assert lines[-1] == "}"
    assert {"su shop shops", "maxsize 10485760", "nocreate", "nocompress"} < set(lines)


def test_its_group_is_the_services():
    assert "    su shop www-data\n" in logrotate.configuration(worker(user="shop", group="www-data", **ELSEWHERE))


def test_a_service_that_is_called_like_a_copy_is_not_ignored_by_logrotate():
    assert "/etc/logrotate.d/evenkeel-shop.bak.conf" in KINDS["worker"].paths("shop.bak")
