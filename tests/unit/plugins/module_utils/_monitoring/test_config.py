"""The configuration of the sampler, as the role writes it."""

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import config
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.config import (
    Config,
    ConfigError,
    Service,
    read,
    read_all,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.options import RATE_LIMITED

WORKER = {"name": "w", "kind": "worker"}


@pytest.fixture
def written(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "CONFIG", str(tmp_path / "monitoring.json"))

    def write(name, data):
        (tmp_path / name).write_text(json.dumps(data), encoding="utf-8")
        return tmp_path / name

    return write


def test_all_projects_are_sampled(written):
    written("monitoring.json", {"services": [WORKER], "campaigns": {"slides": "/run/shop/campaign"}})
    written("monitoring.peakops.json", {"services": [{"name": "b", "kind": "beat"}, WORKER]})
    written("monitoring.json.bak", {"services": [{"name": "other", "kind": "beat"}]})
    assert read_all() == Config(
        (Service("b", "beat"), Service("w", "worker", "info", (), RATE_LIMITED)), {"slides": "/run/shop/campaign"}
    )


def test_without_a_configuration_nothing_is_sampled(written):
    assert read_all() == Config()


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ({"kind": "worker"}, "'name'"),
        ({"name": "w", "kind": "flower"}, "w: kind 'flower' is not one of worker, beat"),
        ({**WORKER, "log_level": "loud"}, "w: log_level 'loud' is not one of debug, info"),
        ({**WORKER, "rate_limited": "429("}, r"w: rate_limited '429\(' is not a regular expression: "),
        ("w", "string indices must be integers"),
    ],
)
def test_what_is_wrong_is_said(written, service, message):
    path = written("monitoring.json", {"services": [service]})
    with pytest.raises(ConfigError, match=rf"{path} can't be read: .*{message}.*run the role monitoring again"):
        read(path)


@pytest.mark.parametrize(
    ("level", "known"),
    [("debug", "info warning error"), ("info", "info warning error"), ("warning", "warning error"), ("critical", "")],
)
def test_the_level_of_the_log_decides_what_it_can_tell(level, known):
    service = Service("w", "worker", level)
    assert [each for each in ("info", "warning", "error") if service.logs(each)] == known.split()
    assert not Service("b", "beat", level).logs("error")
