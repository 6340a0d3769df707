"""How the host's state is read, and how a swap file is made."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._swap import apply as swap_apply
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.apply import Runner
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.plan import (
    MIB,
    File,
    Host,
    SwapError,
    UnsupportedError,
    check,
    plan,
)
from hypothesis import given
from hypothesis import strategies as st

PATH, NEW = "/swapfile", "/swapfile.evenkeel-new"
G = 1 << 30
ACTIVE = File(PATH, "swap file", G, G, active=True, used=G)
HOST = Host(ACTIVE, File(NEW), "ext4", free=10 * G, memory=0)


def test_memory_is_checked_again_before_swapoff():
    host = HOST
    runner = Runner(PATH, G, run=lambda *command: None, log=lambda line: None)
    runner.look = lambda: host
    with pytest.raises(SwapError, match="can't be switched off"):
        runner.off(PATH)
    host = replace(host, new=File(NEW, "swap file", G, active=True))
    runner.off(PATH)


FULL, FEW = "CapEff:\t000001ffffffffff", "CapEff:\t00000000a80425fb"
OWN, MAPPED = "         0          0 4294967295\n", "         0     100000      65536\n"


@pytest.mark.parametrize(
    ("swaps", "about_us", "why"),
    [
        ("/", (FULL, OWN), ""),
        ("/does not exist", (FULL, OWN), "built without swap"),
        ("/", (FEW, OWN), "SYS_ADMIN"),
        ("/", (FULL, MAPPED), "root is another user"),
    ],
)
def test_a_kernel_that_will_refuse_swap_is_recognised(monkeypatch, swaps, about_us, why):
    monkeypatch.setattr(swap_apply, "_read", dict(zip(("/proc/self/status", "/proc/self/uid_map"), about_us)).get)
    monkeypatch.setattr(swap_apply, "SWAPS", swaps)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert why in swap_apply.refusal()
    assert bool(why) == bool(swap_apply.refusal())


def test_what_the_kernel_refuses_after_all_is_restored_and_unsupported(monkeypatch):
    def refuse(tool, *_arguments):
        raise SwapError(f"{tool}: {PATH}: swapon failed: Operation not permitted")

    before = replace(HOST, file=replace(ACTIVE, active=False, used=0))
    runner = Runner(PATH, G, run=refuse, log=lambda line: None)
    runner.look = lambda: before
    with pytest.raises(UnsupportedError, match=r"Could not swapon /swapfile: .* not permitted"):
        swap_apply.apply(runner, before, plan(before, G))


def test_proc_swaps_is_parsed_with_escapes_and_deleted_files():
    text = (
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/swap\\040file                            file\t\t65532\t\t12\t\t-2\n"
        "/gone\\040(deleted)                       file\t\t1020\t\t0\t\t-3\n"
        "/dev/zram0                              partition\t100\t0\t100\n"
    )
    assert swap_apply.parse_swaps(text) == {
        "/swap file": (65532 * 1024, 12 * 1024),
        "/gone (deleted)": (1020 * 1024, 0),
        "/dev/zram0": (100 * 1024, 0),
    }


MOUNTS = """\
347 131 0:72 / / rw,relatime master:102 - overlay overlay rw
355 347 0:82 / /tmp rw,nosuid - tmpfs tmpfs rw
356 347 254:0 /data /mnt/my\\040swap rw - ext4 /dev/vda rw
357 347 0:83 / /tmp rw shared:1 propagate_from:2 - xfs /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("directory", "filesystem"),
    [("/", "overlay"), ("/mnt", "overlay"), ("/mnt/my swap/a", "ext4"), ("/tmp", "xfs"), ("/tmpfiles", "overlay")],
)
def test_the_file_system_is_that_of_the_nearest_mount(directory, filesystem):
    assert swap_apply.parse_filesystem(MOUNTS, directory) == filesystem


def escaped(path):
    """As the kernel prints a path (seq_path)."""
    return "".join(f"\\{ord(each):03o}" if each in " \t\n\\" else each for each in path)


PATHS = st.lists(st.text(st.characters(blacklist_characters="/\0"), min_size=1), max_size=3).map(
    lambda names: "/" + "/".join(name for name in names if name not in (".", ".."))
)


@given(st.dictionaries(PATHS, st.tuples(st.integers(0, 2**40), st.integers(0, 2**40))))
def test_swap_areas_are_found_whatever_their_names(areas):
    lines = [f"{escaped(path)}   file\t\t{size}\t\t{used}\t\t-2\n" for path, (size, used) in areas.items()]
    found = swap_apply.parse_swaps("".join(["Filename\tType\tSize\tUsed\tPriority\n", *lines]))
    assert found == {path: (size * 1024, used * 1024) for path, (size, used) in areas.items()}


@given(st.dictionaries(PATHS, st.sampled_from(["ext4", "tmpfs", "fuse.a-b"]), min_size=1))
def test_mounts_are_found_whatever_their_names(mounts):
    lines = [f"1 0 0:1 / {escaped(path)} rw shared:1 - {kind} - rw\n" for path, kind in mounts.items()]
    for path, kind in mounts.items():
        assert swap_apply.parse_filesystem("".join(lines), path) == kind


@pytest.mark.parametrize(
    ("directory", "shared"), [("/", ""), ("/usr/share", ""), ("/tmp/a", "/tmp/a"), ("/tmp", "/tmp"), ("/proc/self", "")]
)
def test_a_directory_in_which_others_can_exchange_names_is_found(directory, shared):
    assert swap_apply._shared(Path(directory)) == shared


def test_a_link_in_a_directory_of_others_is_found(tmp_path):
    tmp_path.chmod(0o777)
    (tmp_path / "link").symlink_to("/usr")
    (tmp_path / "loop").symlink_to("loop")
    assert swap_apply._shared(tmp_path / "link") == str(tmp_path / "link")
    with pytest.raises(OSError, match="Too many levels"):
        swap_apply.look(str(tmp_path / "loop" / "swap"))


def header(pages):
    return b"\0" * 1028 + (pages - 1).to_bytes(4, "little") + b"\0" * (swap_apply.PAGE - 1042) + b"SWAPSPACE2"


def test_no_file_is_opened_where_others_could_exchange_it(tmp_path, monkeypatch):
    monkeypatch.setattr(swap_apply, "_swap_size", None)
    (tmp_path / "swap").write_text("")
    host = swap_apply.look(str(tmp_path / "swap"))
    shared = next(str(parent) for parent in tmp_path.parents if parent.stat().st_mode & stat.S_IWOTH)
    assert (host.shared, host.file.kind) == (shared, "swap file")
    with pytest.raises(SwapError, match=f"others than root can write to {shared}"):
        check(host, plan(host, MIB), None, 0)


def test_swap_files_are_recognized_by_their_content(tmp_path, monkeypatch):
    monkeypatch.setattr(swap_apply, "_shared", lambda directory: "")

    def looked(name):
        return swap_apply.look(str(tmp_path / name)).file

    whole = header(10) + os.urandom(9 * swap_apply.PAGE)
    (tmp_path / "swap").write_bytes(whole)
    (tmp_path / "short").write_bytes(whole[: -swap_apply.PAGE])
    (tmp_path / "letter").write_text("Dear Sir or Madam")
    with (tmp_path / "holes").open("wb") as file:
        file.write(header(1000))
        file.truncate(1000 * swap_apply.PAGE)
    (tmp_path / "link").symlink_to("swap")
    assert looked("none") == File(str(tmp_path / "none"))
    assert (looked("swap").kind, looked("swap").size) == ("swap file", 10 * swap_apply.PAGE)
    assert (looked("short").kind, looked("short").size) == ("swap file", 0)
    assert (looked("holes").kind, looked("holes").size) == ("swap file", 0)
    assert looked("letter").kind == "file that holds something else"
    assert looked("link").kind == "symbolic link"
    assert looked("..").kind == "directory"
    assert swap_apply.look(str(tmp_path / "missing" / "swap")).filesystem == ""


@pytest.mark.parametrize("filesystem", ["ext4", "ext3", "btrfs"])
def test_a_new_file_is_private_without_holes_and_labelled(tmp_path, monkeypatch, filesystem):
    path = str(tmp_path / "swap")
    commands = []
    runner = Runner(path, 5 * MIB + swap_apply.PAGE, lambda *command: commands.append(command), lambda line: None)
    monkeypatch.setattr(runner, "look", lambda: replace(HOST, filesystem=filesystem))
    runner.make(path)
    status = Path(path).stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_blocks * 512 >= status.st_size == runner.size
    attributes = [("chattr", "-c", path), ("chattr", "+C", path)] if filesystem == "btrfs" else []
    assert commands == [*attributes, ("mkswap", "--label", "evenkeel", path)]
