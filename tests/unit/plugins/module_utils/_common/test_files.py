import os
import stat

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import files, paths
from ansible_collections.evenkeel.celery.plugins.module_utils._common.files import File


@pytest.fixture(params=[0o000, 0o077, 0o277])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_file_and_missing_directories_are_made_with_their_modes_whatever_the_umask(tmp_path, umask):
    path = tmp_path / "a" / "b" / "c"
    files.write(path, File(b"text", 0o640))
    assert (path.read_bytes(), mode(path), mode(path.parent), mode(path.parent.parent)) == (
        b"text",
        0o640,
        0o755,
        0o755,
    )
    assert [each.name for each in path.parent.iterdir()] == ["c"]
    assert files.read(path) == File(b"text", 0o640)


def test_directories_of_ours_that_were_closed_are_opened_again_and_no_others(tmp_path, umask, monkeypatch):
    monkeypatch.setattr(paths, "PROGRAMS", str(tmp_path / "lib" / "evenkeel"))
    ours = tmp_path / "lib" / "evenkeel" / "w"
    ours.mkdir(parents=True)
    for each, closed in ((ours, 0o700), (ours.parent, 0o777), (ours.parent.parent, 0o700)):
        each.chmod(closed)
    files.write(ours / "watchdog.py", File(b""))
    assert [mode(each) for each in (ours, ours.parent, ours.parent.parent)] == [0o755, 0o755, 0o700]


def test_a_file_is_replaced_and_removed(tmp_path):
    path = tmp_path / "a"
    files.write(path, File(b"old"))
    held = path.open("rb")
    files.write(path, File(b"new"))
    assert (held.read(), path.read_bytes()) == (b"old", b"new")
    files.write(path, None)
    files.write(path, None)
    files.write(tmp_path / "nowhere" / "a", None)
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path):
    (tmp_path / "target").write_text("precious")
    (tmp_path / "a").symlink_to("target")
    files.write(tmp_path / "a", File(b"new"))
    assert ((tmp_path / "target").read_text(), (tmp_path / "a").is_symlink()) == ("precious", False)


def test_a_link_can_be_written(tmp_path):
    (tmp_path / "target").write_bytes(b"text")
    files.write(tmp_path / "a", File(b"text", link="target"))
    assert files.read(tmp_path / "a") == File(b"text", 0o644, "target")


def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(tmp_path / "a", File(b"text"))
    assert list(tmp_path.iterdir()) == []


def test_our_own_links_to_a_directory_are_followed(tmp_path):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "absolute").symlink_to(tmp_path / "real")
    (tmp_path / "relative").symlink_to("absolute/../real/./deep")
    files.write(tmp_path / "relative" / "a", File(b"text"))
    assert (tmp_path / "real" / "deep" / "a").read_bytes() == b"text"


def test_links_in_a_directory_that_others_can_write_to_are_not_followed(tmp_path):
    (tmp_path / "roots").mkdir()
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "link").symlink_to(tmp_path / "roots")
    shared.chmod(0o777)
    with pytest.raises(OSError, match="leads through the link 'link' in a directory that others can write to"):
        files.write(shared / "link" / "a", File(b"text"))
    assert list((tmp_path / "roots").iterdir()) == []
    files.write(shared / "a", File(b"text"))


def test_links_that_lead_to_each_other_are_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"), files.open_directory(tmp_path / "a"):
        pass


def test_only_regular_files_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    os.mkfifo(tmp_path / "fifo")
    assert files.read_start(tmp_path / "file", 4) == b"0123"
    with pytest.raises(OSError, match="not a regular file"):
        files.read_start(tmp_path / "fifo", 4)
    with pytest.raises(OSError):
        files.read_start(tmp_path, 4)


def test_files_are_put_in_place_together_or_not_at_all(tmp_path):
    one, other, gone = tmp_path / "one", tmp_path / "new" / "other", tmp_path / "gone"
    gone.write_text("old")
    with files.staged({one: File(b"1"), other: File(b"2"), gone: None}) as put:
        assert (one.exists(), other.exists(), gone.exists()) == (False, False, True)
        put()
        assert (one.read_bytes(), other.read_bytes(), gone.exists()) == (b"1", b"2", False)
    with files.staged({one: File(b"3"), other: None}):
        pass
    assert (one.read_bytes(), other.exists()) == (b"1", True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["new", "one", "other"]


def test_a_file_that_can_not_be_written_is_named_and_leaves_nothing(tmp_path):
    one, other = tmp_path / "one", tmp_path / "directory" / "other"
    (tmp_path / "directory").write_text("")
    with pytest.raises(OSError, match=str(tmp_path)), files.staged({one: File(b"1"), other: File(b"2")}):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]


def test_what_a_killed_process_left_beside_a_file_is_removed_and_nothing_else(tmp_path):
    left, others = ".w.service.0123456789ab", [".w.service.conf", ".v.service.0123456789ab", "w.service"]
    for name in (left, *others):
        (tmp_path / name).touch()
    files.remove_staged(tmp_path / "w.service")
    files.remove_staged(tmp_path / "missing" / "w.service")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
