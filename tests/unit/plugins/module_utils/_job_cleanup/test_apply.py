"""What differs is written, what is no longer wanted goes, and nothing else is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.files import File
from ansible_collections.evenkeel.celery.plugins.module_utils._common.users import Identity
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup import apply as room
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.plan import Wanted

ME = Identity(os.getuid(), os.getgid())


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The directory that all of ours lies in."""
    for name, path in {
        "PROGRAMS": "lib",
        "SCRIPT": "lib/script.py",
        "ENGINE": "lib/engine",
        "CONFIG": "etc/config.json",
        "CRON": "cron.d/cleanup",
        "RECORDS": "records",
    }.items():
        monkeypatch.setattr(room, name, str(tmp_path / path))
    monkeypatch.setattr(room, "OLD_ENGINES", (str(tmp_path / "lib/old"),))
    return tmp_path


def everything(root, script=b"1"):
    files = {"lib/engine/plan.py": b"", "etc/config.json": b"{}", "lib/script.py": script, "cron.d/cleanup": b"*"}
    return Wanted({str(root / name): File(content) for name, content in files.items()}, [ME])


def apply(wanted, check_mode=False):
    return [Path(path).name for path in room.apply(room.look(wanted), wanted, check_mode)]


def tree(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_check_mode_writes_nothing(root):
    assert len(apply(everything(root), check_mode=True)) == 5
    assert tree(root) == []


def test_it_is_installed_once_with_cron_s_file_last(root):
    assert apply(everything(root))[-1] == "cleanup"
    assert (root / "lib/engine/plan.py").is_file()
    assert apply(everything(root)) == []
    assert apply(everything(root, b"2")) == ["script.py"]
    assert (root / "lib/script.py").read_bytes() == b"2"


def test_records_are_closed_to_others(root):
    apply(everything(root))
    records = root / "records" / ME.name
    assert records.stat().st_mode & 0o7777 == 0o700
    records.chmod(0o755)
    assert apply(everything(root)) == [ME.name]
    assert records.stat().st_mode & 0o7777 == 0o700


def test_a_wrong_mode_is_corrected(root):
    apply(everything(root))
    (root / "etc/config.json").chmod(0o666)
    assert apply(everything(root)) == ["config.json"]
    assert (root / "etc/config.json").stat().st_mode & 0o7777 == 0o644


def test_what_older_versions_had_goes(root):
    apply(everything(root))
    for name in ("lib/engine/moved/rows.py", "lib/old/rows.py"):
        (root / name).parent.mkdir()
        (root / name).touch()
    assert apply(everything(root)) == ["rows.py"], "one without __init__.py is a service's directory"
    (root / "lib/engine/moved").mkdir()
    (root / "lib/engine/moved/rows.py").touch()
    (root / "lib/old/__init__.py").touch()
    before = tree(root)
    assert apply(everything(root)) == ["rows.py", "__init__.py", "rows.py"]
    assert [name for name in before if name not in tree(root)] == [
        "lib/engine/moved",
        "lib/engine/moved/rows.py",
        "lib/old",
        "lib/old/__init__.py",
        "lib/old/rows.py",
    ]


def test_all_goes_but_records_and_what_is_not_ours_with_cron_s_file_first(root):
    apply(everything(root))
    (root / "lib/watchdog.py").touch()
    (root / "etc/worker.env").touch()
    assert apply(Wanted())[0] == "cleanup"
    assert tree(root) == ["cron.d", "etc", "etc/worker.env", "lib", "lib/watchdog.py", "records", f"records/{ME.name}"]
    assert apply(Wanted()) == []
