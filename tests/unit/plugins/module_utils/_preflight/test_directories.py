"""The directories that systemd would make for a service are there while it is probed, and only then."""

import os

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import directories
from workers import beat, worker


def test_a_service_is_told_of_its_directories_and_may_write_to_them():
    sandbox = {"CacheDirectory": "shop shop/thumbs", "RuntimeDirectory": ["a:link", "b"], "StateDirectory": "%N ../x"}
    assert set(directories.properties(worker(log_file=True, sandbox=sandbox))) == {
        "Environment=CACHE_DIRECTORY=/var/cache/shop:/var/cache/shop/thumbs",
        "ReadWritePaths=-/var/cache/shop",
        "ReadWritePaths=-/var/cache/shop/thumbs",
        "Environment=RUNTIME_DIRECTORY=/run/a:/run/b",
        "ReadWritePaths=-/run/a",
        "ReadWritePaths=-/run/b",
        "Environment=LOGS_DIRECTORY=/var/log/evenkeel/w",
        "ReadWritePaths=-/var/log/evenkeel/w",
    }
    assert "Environment=STATE_DIRECTORY=/var/lib/evenkeel/beat/b" in directories.properties(beat())


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory that stands for /var/cache."""
    monkeypatch.setattr(directories, "_PLACES", {"CacheDirectory": str(tmp_path)})
    monkeypatch.setattr(directories, "is_roots", lambda _path: True)
    return tmp_path


SHOP = {"user": "nobody", "sandbox": {"CacheDirectory": "all/shop there"}}


@pytest.mark.skipif(os.geteuid() != 0, reason="gives directories to another user")
def test_what_is_missing_is_made_for_the_service_and_removed_with_all_that_is_in_it(place):
    (place / "there").mkdir()
    with directories.present([worker(**SHOP)]):
        owners = {path.name: path.owner() for path in place.rglob("*")}
        assert owners == {"there": "root", "all": "root", "shop": "nobody"}
        (place / "all/shop/file").touch()
    assert list(place.rglob("*")) == [place / "there"]


def test_nothing_is_made_where_others_may_put_something_in_its_place(place, monkeypatch):
    monkeypatch.setattr(directories, "is_roots", lambda _path: False)
    with directories.present([worker(**SHOP)]):
        assert not list(place.iterdir())
