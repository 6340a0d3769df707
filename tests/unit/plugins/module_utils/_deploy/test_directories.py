"""Directories that were closed are opened again, and none is made."""

from ansible_collections.evenkeel.celery.plugins.module_utils._common import paths
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy import directories


def test_closed_directories_of_ours_are_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROGRAMS", str(tmp_path))
    (tmp_path / "w").mkdir(mode=0o700)
    directories.reopen([f"{tmp_path}/w/watchdog.py", f"{tmp_path}/missing/watchdog.py"])
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [("w", 0o755)]
