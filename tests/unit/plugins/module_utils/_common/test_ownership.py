"""Who decides what a path leads to."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import ownership, users
from ansible_collections.evenkeel.celery.plugins.module_utils._common.ownership import Unsafe

APP, MALLORY, NAMELESS = 65534, 65533, 65532
TEAM = 65531

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users")


@pytest.fixture
def srv():
    """/srv/app/data/jobs.db of the application's, below a directory of root's."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    data = directory / "app" / "data"
    data.mkdir(parents=True)
    (data / "jobs.db").touch()
    (directory / "other").mkdir()
    for path in (directory / "app", data, data / "jobs.db"):
        give(path, APP)
    yield directory
    shutil.rmtree(directory)


def give(path, user, group=None):
    os.chown(path, user, user if group is None else group, follow_symlinks=False)
    return path


def roots_backup(srv):
    (srv / "app/data/jobs.db").unlink()
    (srv / "app/data/jobs.db").touch()


def upload(srv):
    give(srv / "app/data/jobs.db", MALLORY)


def link(target, owner):
    def make(srv):
        (srv / "other/theirs").touch()
        give(srv / "other/theirs", MALLORY)
        (srv / "app/data/jobs.db").unlink()
        (srv / "app/data/jobs.db").symlink_to(target)
        give(srv / "app/data/jobs.db", owner)

    return make


def directory_of(path, owner, group=None, mode=0o755):
    def make(srv):
        give(srv / path, owner, group)
        (srv / path).chmod(mode)

    return make


def fifo(srv):
    (srv / "app/data/jobs.db").unlink()
    os.mkfifo(srv / "app/data/jobs.db")


REFUSED = {
    "root's backup, renamed": (roots_backup, "belongs to root, but .*/app on the way to it belongs to nobody"),
    "another user's upload, renamed": (upload, "belongs to 65533, but .*/app on the way"),
    "a link to root's file": (link("/etc/passwd", APP), "belongs to root, but .*/app on the way"),
    "a link to another user's file": (link("../../other/theirs", APP), "belongs to 65533, but"),
    "root's link to another user's file": (link("../../other/theirs", 0), "belongs to 65533, but"),
    "a directory of another user's": (directory_of("app", MALLORY), "belongs to nobody, but .*/app on the way"),
    "a directory that everybody can write to": (directory_of("app", APP, mode=0o777), "everybody can write to .*/app"),
    "a sticky one for the file": (directory_of("app/data", 0, mode=0o1777), "everybody can put files into .*/data"),
    "root's, for a group": (
        directory_of("app", 0, TEAM, 0o775),
        "others than nobody can write to .*/app,",
    ),
    "a FIFO": (fifo, "is not a regular file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_others_can_put_there_has_no_certain_owner(srv, monkeypatch, case):
    change, message = REFUSED[case]
    monkeypatch.setattr(users, "members", lambda gid: {MALLORY, APP} if gid == TEAM else set())
    change(srv)
    with pytest.raises(Unsafe, match=message):
        ownership.file_of_one_user(srv / "app/data/jobs.db")


ACCEPTED = {
    "as it is": lambda srv: None,
    "root's directory": directory_of("app/data", 0),
    "for the owner's group, by the owner": directory_of("app/data", APP, TEAM, 0o775),
    "for the owner's own group, by root": directory_of("app/data", 0, APP, 0o775),
    "sticky, further above": directory_of("app", 0, mode=0o1777),
    "root's link": lambda srv: give((srv / "app").rename(srv / "real"), APP) and (srv / "app").symlink_to("real"),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_file_that_its_owner_or_root_has_put_there_is_the_owners(srv, monkeypatch, case):
    monkeypatch.setattr(users, "members", lambda gid: {MALLORY, APP} if gid == TEAM else {APP})
    ACCEPTED[case](srv)
    assert ownership.file_of_one_user(srv / "app/data/jobs.db").st_uid == APP


def test_a_name_on_the_way_moves_no_terminal(srv):
    odd = srv / "app/\x1b]0;owned\x07\nok"
    odd.mkdir()
    give(odd, MALLORY)
    (odd / "jobs.db").touch()
    with pytest.raises(Unsafe) as caught:
        ownership.file_of_one_user(odd / "jobs.db")
    assert str(caught.value).isprintable()


def test_a_loop_of_links_ends(srv):
    (srv / "a").symlink_to("b")
    (srv / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        ownership.file_of_one_user(srv / "a")


def test_only_what_is_roots_all_the_way_is_roots(srv):
    (srv / "other/file").touch()
    (srv / "link").symlink_to("app/data/jobs.db")
    assert ownership.is_roots(srv / "other/file")
    assert ownership.is_roots(srv / "other/missing/file"), "only root can put something there"
    for path in ("app", "app/data/jobs.db", "app/missing", "link", "app/../other/file"):
        assert not ownership.is_roots(srv / path)
    (srv / "other/file").chmod(0o664)
    assert not ownership.is_roots(srv / "other/file")
    assert not ownership.is_roots("/tmp/missing")


def test_an_owner_has_the_groups_of_the_user_database_and_a_nameless_one_none():
    adm = 4
    assert users.owner_identity(APP, adm).gid == APP != adm
    assert adm not in users.owner_identity(APP, adm).groups
    assert users.owner_identity(NAMELESS, adm) == users.Identity(NAMELESS, users.NO_GROUP)
