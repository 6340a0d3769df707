"""Which files a host has: the configuration of each project, and what all of them share."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.environment_files import variables
from ansible_collections.evenkeel.celery.plugins.module_utils._common.files import File
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.config import parse
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup import exporters, plan, sampler
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.exporters import EXPORTERS
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.projects import Configuration
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.redis_url import Redis

SHOP = Configuration(
    services=({"name": "shop", "kind": "worker"},),
    exporters=("node", "redis"),
    listen_address="10.0.0.5",
    server="127.0.0.1:6379",
    queues=("celery",),
)
PASSWORD = 's3"c$r\\t'
REDIS = Redis("127.0.0.1", password=PASSWORD)
NODE, COUNTER = (EXPORTERS[name].drop_in for name in ("node", "redis"))
BARE = {NODE: None, COUNTER: None}


@pytest.fixture(autouse=True)
def no_packages(monkeypatch):
    monkeypatch.setattr(exporters.programs, "find", lambda name: None)


def files(configurations, project="", redis=None, before=None):
    programs = plan.Programs(sampler.program("#!/usr/bin/python3 -I"), b"return values\n")
    return plan.files(project, configurations, programs, redis, BARE if before is None else before)


def test_a_project_has_what_the_sampler_reads():
    config = files({"": SHOP}, redis=REDIS)["/etc/evenkeel/monitoring.json"]
    assert parse(json.loads(config.content)).services[0].name == "shop"
    assert b"s3" not in config.content


def test_all_that_the_sampler_imports_is_installed():
    found = files({"": SHOP}, redis=REDIS)
    engine = "/usr/local/lib/evenkeel/_sampler/_engine"
    assert {f"{engine}/_monitoring/{name}.py" for name in ("api", "sample", "__init__")} <= set(found)
    assert f"{engine}/_common/files.py" in found


def test_only_root_reads_the_password_which_is_in_the_address():
    file = files({"": SHOP}, redis=REDIS)[exporters.REDIS_ENVIRONMENT]
    found = variables(file.content.decode())
    assert file.mode == 0o600
    assert found["REDIS_ADDR"] == "redis://:s3%22c%24r%5Ct@127.0.0.1:6379"
    assert "REDIS_PASSWORD" not in found
    assert found["REDIS_EXPORTER_WEB_LISTEN_ADDRESS"] == "10.0.0.5:9121"


def test_what_only_another_project_wants_stays():
    other = replace(SHOP, exporters=("node",))
    found = files({"": other, "b": SHOP})
    assert exporters.REDIS_ENVIRONMENT not in found, "the other project's play has written it"
    assert found[COUNTER]
    assert b'{0, {"celery"}}' in found[plan.QUEUES].content


def test_the_last_project_takes_all_with_it():
    assert set(files({}, "b").values()) == {None}
    assert "/etc/evenkeel/monitoring.b.json" in files({}, "b")


def test_the_drop_in_remembers_who_installed_the_package(monkeypatch):
    ours = files({"": SHOP})[NODE]
    assert exporters.came_with_us(ours)
    monkeypatch.setattr(exporters.programs, "find", lambda name: f"/usr/bin/{name}")
    assert files({"": SHOP}, before={**BARE, NODE: ours})[NODE] == ours
    assert not exporters.came_with_us(files({"": SHOP})[NODE])


def test_an_address_of_ipv6_is_in_brackets():
    six = replace(SHOP, listen_address="fd00::5")
    assert b"--web.listen-address=[fd00::5]:9100" in files({"": six})[NODE].content


def test_a_queues_name_can_not_end_its_string():
    evil = replace(SHOP, queues=('a"}}}) redis.call("FLUSHALL") --', "ä\\"), database=2)
    (line,) = plan.databases({"": evil}).splitlines()
    assert line.count(b'"') == 4
    assert b"\\034\\125\\125\\125\\041 redis.call\\040\\034FLUSHALL" in line
    assert b'"\\195\\164\\092"' in line


def test_another_version_of_a_file_differs():
    assert File(b"1") != files({"": SHOP})[NODE]
