"""What goes with the last project, and what stays with a warning."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.systemd import SystemdError
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup import exporters, leaving
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.exporters import EXPORTERS, OURS, File
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.projects import Configuration

NODE = EXPORTERS["node"]
COUNTS = Configuration(exporters=("redis",))


@pytest.fixture
def reasons(monkeypatch, tmp_path):
    """Why node_exporter stays, by its configuration file and whether another package depends on it."""
    path = tmp_path / "default"

    def find(content="packaged", needed=False, drop_in=OURS, installed=True, wanted=()):
        def run(program, *_arguments):
            if program == "dpkg" and needed:
                raise SystemdError("dependency problems prevent removal")
            return f"\n {path} {hashlib.md5(b'packaged').hexdigest()}\n"  # noqa: S324

        path.write_text(content) if content else path.unlink(missing_ok=True)
        monkeypatch.setattr(exporters.systemd, "run", run)
        monkeypatch.setattr(
            exporters.programs, "find", lambda name: name if installed and name == NODE.package else None
        )
        drop_ins = {each.drop_in: File(drop_in.encode()) for each in EXPORTERS.values()}
        return leaving.unneeded(drop_ins, wanted)

    return find


def test_a_package_that_we_installed_goes(reasons):
    assert reasons() == {"node": ""}
    assert reasons(content="") == {"node": ""}, "its file was deleted"


def test_one_that_others_have_built_on_stays(reasons):
    assert reasons(content="ARGS=--collector.systemd")["node"].endswith("default was changed")
    assert reasons(needed=True) == {"node": "other packages depend on it"}


@pytest.mark.parametrize("state", [{"drop_in": ""}, {"installed": False}, {"wanted": ["node"]}])
def test_others_are_none_of_ours_to_remove(reasons, state):
    assert reasons(**state) == {}


@pytest.mark.parametrize(
    ("address", "after", "warned"),
    [
        ("redis://:s3cret@127.0.0.1:6379", {"b": COUNTS}, True),
        ("redis://127.0.0.1:6379", {"b": COUNTS}, False),
        ("redis://:s3cret@127.0.0.1:6379", {"b": Configuration()}, False),
        ("redis://:s3cret@127.0.0.1:6379", {"a": COUNTS, "b": COUNTS}, False),
    ],
)
def test_a_password_that_its_project_no_longer_needs_is_warned_of(monkeypatch, tmp_path, address, after, warned):
    monkeypatch.setattr(leaving, "REDIS_ENVIRONMENT", str(tmp_path / "env"))
    (tmp_path / "env").write_text(f'REDIS_ADDR="{address}"\n')
    found = list(leaving.warnings({}, "a", {"a": COUNTS, "b": COUNTS}, after))
    assert bool(found) is warned
    assert all("project 'b'" in each and "s3cret" not in each for each in found)
