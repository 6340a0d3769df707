"""A unit of ours is read as it was written."""

import os

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import paths
from ansible_collections.evenkeel.celery.plugins.module_utils._targets import systemd_unit
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.deployed import (
    Deployed,
    deployed,
    has_beat,
    read,
)
from workers import worker


@pytest.mark.parametrize(
    "options",
    [
        {"app": "shop", "directory": "/srv/shop", "memory_max": "1G"},
        {"app": "shop:make$(x)", "directory": "/srv/100 %/$HOME", "executable": "/srv/a b/celery"},
        {"app": 'a "quoted" app', "description": "ExecStart=/bin/true -A other"},
    ],
)
def test_what_was_written_is_read(options):
    instance = worker(**options)
    limit = 2**30 if instance["memory_max"] else None
    assert read(systemd_unit.unit(instance)) == Deployed(instance["app"], instance["directory"], limit, 270)


@pytest.mark.parametrize(
    ("options", "has"),
    [
        ("worker -B", True),
        ("worker --loglevel=info --beat", True),
        ("worker \\\n  -l info -EB", True),
        ("worker -Q Batch", False),
        ("worker -n -Q", False),
        ("beat -B", False),
    ],
)
def test_a_beat_within_a_worker_is_seen_in_a_unit(options, has):
    assert has_beat(f"[Service]\nExecStart=/venv/bin/celery -A shop {options}\nUser=shop\n") == has


def test_a_unit_that_is_not_ours_or_was_changed_tells_nothing():
    unit = systemd_unit.unit(worker(memory_max="1G"))
    assert read(unit.replace("# Managed by evenkeel.celery", "#")) == Deployed()
    changed = unit.replace("-A shop", '-A "shop').replace("MemoryMax=1G", "MemoryMax=infinity")
    changed = changed.replace("TimeoutStopSec=300", "TimeoutStopSec=infinity")
    assert read(changed) == Deployed(directory="/srv/shop")


def test_a_unit_that_somebody_else_can_replace_tells_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "UNITS", str(tmp_path))
    unit = tmp_path / "w.service"
    assert deployed("w") == Deployed()
    unit.write_text(systemd_unit.unit(worker()))
    assert deployed("w") == Deployed("shop", "/srv/shop", time_limit=270)
    unit.rename(tmp_path / "theirs")
    unit.symlink_to("theirs")
    assert deployed("w") == Deployed()
    unit.unlink()
    os.mkfifo(unit)
    assert deployed("w") == Deployed()
