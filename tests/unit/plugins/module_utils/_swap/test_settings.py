"""The swap file's line in /etc/fstab, and the swappiness, now and at boot."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._swap import settings
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.settings import Settings
from hypothesis import given
from hypothesis import strategies as st

PATHS = ["/swapfile", "/disk/swapfile"]  # as given, and without links
ROOT = "UUID=1b2c / ext4 defaults 0 1\n"
LINE = "/swapfile none swap sw 0 0\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", LINE),
        (ROOT, ROOT + LINE),
        (ROOT.rstrip(), ROOT + LINE),
        (LINE + ROOT, LINE + ROOT),
        ("/swapfile swap swap nofail,pri=10 0 0\n", "/swapfile swap swap nofail,pri=10 0 0\n"),
        ("/swapfile none swap noauto,pri=10 0 0\n", "/swapfile none swap pri=10 0 0\n"),
        ("/swapfile none swap noauto\n", "/swapfile none swap sw\n"),
        ("/disk/swapfile none swap sw 0 0\n", "/disk/swapfile none swap sw 0 0\n"),
        (LINE + ROOT + "/swapfile swap swap defaults 0 0\n", LINE + ROOT),
        (f"# {LINE}", f"# {LINE}{LINE}"),
        ("/swapfile2 none swap sw 0 0\n", f"/swapfile2 none swap sw 0 0\n{LINE}"),
        ("/swapfile /mnt ext4 loop 0 0\n", f"/swapfile /mnt ext4 loop 0 0\n{LINE}"),
    ],
)
def test_fstab_has_one_line_that_keeps_its_options(before, after):
    assert settings.with_swap(before, PATHS) == after
    assert settings.with_swap(after, PATHS) == after


@given(
    st.text()
    | st.lists(st.sampled_from(["/swapfile", "none", "swap", " ", "\t", "\n", "\x0c", "\x85", "#"])).map("".join)
)
def test_whatever_is_in_fstab_the_line_is_added_and_removed_and_nothing_else(fstab):
    others = settings.without_swap(fstab, PATHS)
    added = settings.with_swap(others, PATHS)
    assert added == others + ("" if others.endswith("\n") or not others else "\n") + LINE
    assert settings.without_swap(added, PATHS).rstrip("\n") == others.rstrip("\n")
    assert settings.with_swap(settings.with_swap(fstab, PATHS), PATHS) == settings.with_swap(fstab, PATHS)


def test_only_the_swap_files_lines_are_removed_from_fstab():
    others = f"{ROOT}# {LINE}/swapfile2 none swap sw 0 0\n"
    assert settings.without_swap(f"{others}{LINE}/disk/swapfile swap swap pri=1 0 0\n", PATHS) == others


def test_a_swappiness_that_is_not_given_is_left_as_it_is():
    now = Settings(LINE, "vm.swappiness = 7\n", 7)
    assert settings.plan(now, PATHS, True, None) == now
    assert settings.plan(now, PATHS, False, None) == Settings("", "vm.swappiness = 7\n", 7)


def test_only_the_swap_files_lines_of_fstab_are_shown():
    share = "//nas/share /mnt cifs username=me,password=secret 0 0\n"
    assert "secret" not in str(settings.shown(Settings(share + LINE, "", 60), PATHS))


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host's files, and the commands that were run on it."""
    (tmp_path / "swappiness").write_text("60\n")
    (tmp_path / "fstab").write_bytes(b"# caf\xe9\n")
    (tmp_path / "fstab").chmod(0o640)
    for name in ("fstab", "sysctl", "kernel"):
        monkeypatch.setattr(settings, name.upper(), str(tmp_path / name.replace("kernel", "swappiness")))
    return tmp_path


def carry_out(present, swappiness=None):
    commands = []
    before = settings.look()
    settings.apply(before, settings.plan(before, PATHS, present, swappiness), lambda *command: commands.append(command))
    return commands


def test_the_settings_are_written_idempotently_and_removed_again(host):
    assert carry_out(True, 10) == [("systemctl", "daemon-reload")]
    assert (host / "fstab").read_bytes() == b"# caf\xe9\n" + LINE.encode()
    assert (host / "fstab").stat().st_mode & 0o7777 == 0o640
    assert (host / "sysctl").read_text() == "# Managed by evenkeel.celery\nvm.swappiness = 10\n"
    assert (host / "swappiness").read_text() == "10\n"
    before = {path.name: path.stat().st_mtime_ns for path in host.iterdir()}
    assert carry_out(True, 10) == []
    assert {path.name: path.stat().st_mtime_ns for path in host.iterdir()} == before

    assert carry_out(False, 10) == [("systemctl", "daemon-reload")]
    assert (host / "fstab").read_bytes() == b"# caf\xe9\n"
    assert not (host / "sysctl").exists()
    assert (host / "swappiness").read_text() == "10\n"


def test_fstab_is_kept_even_if_it_had_only_our_line(host):
    (host / "fstab").write_text(LINE)
    carry_out(False)
    assert (host / "fstab").read_text() == ""


def test_an_fstab_that_is_a_symbolic_link_stays_one(host):
    (host / "fstab").rename(host / "real")
    (host / "fstab").symlink_to("real")
    carry_out(True)
    assert (host / "fstab").is_symlink()
    assert LINE in (host / "real").read_text(errors="replace")
