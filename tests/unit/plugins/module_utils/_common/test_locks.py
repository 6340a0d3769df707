"""A lock has one holder, who is named."""

import os
import stat

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import locks


def test_a_second_holder_is_refused_until_the_first_is_done(tmp_path):
    path = tmp_path / "missing" / "lock"
    with locks.hold(path):
        with pytest.raises(locks.Busy, match=rf"process {os.getpid()}\) is at work on this host"), locks.hold(path):
            pass
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with locks.hold(path):
        pass


def test_whatever_is_in_the_lock_is_shown_in_one_line(tmp_path):
    path = tmp_path / "lock"
    with locks.hold(path):
        path.write_bytes(b"\x1b[2J\xff\n1")
        with pytest.raises(locks.Busy, match=r"process \\x1b\[2J"), locks.hold(path):
            pass


def test_a_link_is_no_lock(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), locks.hold(tmp_path / "lock"):
        pass
    assert not (tmp_path / "elsewhere").exists()
