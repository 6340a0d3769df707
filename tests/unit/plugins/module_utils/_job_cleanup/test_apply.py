"""Files that differ are written, those that are no longer wanted are removed, and nothing else is touched."""

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
    """A directory that contains all of our files."""
    for name, path in {
        "PROGRAMS": "lib",
        "ENGINE": "lib/engine",
        "CRON": "cron.d/cleanup",
        "RECORDS": "records",
    }.items():
        monkeypatch.setattr(room, name, str(tmp_path / path))
    monkeypatch.setattr(room, "OLD_ENGINES", (str(tmp_path / "lib/old"),))
    return tmp_path


def everything(root, script=b"1"):
    files = {"lib/engine/plan.py": b"", "etc/config.json": b"{}", "lib/script.py": script, "cron.d/cleanup": b"*"}
    return Wanted({str(root / name): File(content) for name, content in files.items()}, users=[ME])


def nothing(root):
    return Wanted(dict.fromkeys(everything(root).files))


def apply(wanted, check_mode=False):
    return [Path(path).name for path in room.apply(room.look(wanted), wanted, check_mode)]


def tree(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_check_mode_writes_nothing(root):
    assert len(apply(everything(root), check_mode=True)) == 5
    assert tree(root) == []


def test_installing_is_idempotent_and_writes_crons_file_last(root):
    assert apply(everything(root))[-1] == "cleanup"
    assert (root / "lib/engine/plan.py").is_file()
    assert apply(everything(root)) == []
    assert apply(everything(root, b"2")) == ["script.py"]
    assert (root / "lib/script.py").read_bytes() == b"2"


def test_only_the_user_can_read_its_records(root):
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


def test_files_of_older_versions_are_removed(root):
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


def test_absent_removes_crons_file_first_and_keeps_records_and_files_of_others(root):
    apply(everything(root))
    (root / "lib/watchdog.py").touch()
    (root / "etc/worker.env").touch()
    assert apply(nothing(root))[0] == "cleanup"
    assert tree(root) == ["cron.d", "etc", "etc/worker.env", "lib", "lib/watchdog.py", "records", f"records/{ME.name}"]
    assert apply(nothing(root)) == []


def test_a_project_that_leaves_the_program_to_others_removes_none_of_it(root):
    apply(everything(root))
    config = str(root / "etc/config.json")
    assert apply(Wanted({config: None}, program=False)) == ["config.json"]
    assert (root / "lib/engine/plan.py").exists()
