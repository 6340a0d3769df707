"""Which changes of an application's files count as new code."""

import os
import stat
import time

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import users
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import code_state
from workers import worker


@pytest.fixture
def shop(tmp_path):
    """Two releases with some code and some data, and a link to the first."""
    for number in (1, 2):
        release = tmp_path / f"releases/{number}"
        for path, text in {
            "shop/tasks.py": "pass",
            "shop/fast.so": "ELF",
            "data/jobs.db": "rows",
            ".git/x.py": "",
        }.items():
            (release / path).parent.mkdir(parents=True, exist_ok=True)
            (release / path).write_text(text)
    (tmp_path / "current").symlink_to("releases/1")
    return tmp_path


def another(path, text):
    """Puts another file in its place, of the same size and time."""
    status = path.stat()
    new = path.with_suffix(".new")
    new.write_text(text)
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.replace(path)


def point_to(shop, release):
    (shop / "current").unlink()
    (shop / "current").symlink_to(f"releases/{release}")


COUNTS = {
    "a link leads elsewhere": lambda shop: point_to(shop, 2),
    "a file of the link's target": lambda shop: (shop / "releases/1/shop/tasks.py").write_text("pass  # new"),
    "a file with the same size and time": lambda shop: another(shop / "releases/1/shop/tasks.py", "fail"),
    "a new file": lambda shop: (shop / "releases/1/shop/new.py").touch(),
    "a file is gone": lambda shop: (shop / "releases/1/shop/fast.so").unlink(),
    "a file has another name": lambda shop: (shop / "releases/1/shop/tasks.py").rename(shop / "releases/1/shop/t.py"),
}
DOES_NOT_COUNT = {
    "nothing": lambda shop: None,
    "the link is made anew": lambda shop: point_to(shop, 1),
    "data": lambda shop: (shop / "releases/1/data/jobs.db").write_text("other rows"),
    "what git keeps": lambda shop: (shop / "releases/1/.git/x.py").write_text("new"),
    "a link that leads nowhere": lambda shop: (shop / "releases/1/shop/gone.py").symlink_to("nowhere"),
}


@pytest.mark.parametrize("change", [*COUNTS, *DOES_NOT_COUNT])
def test_what_counts(shop, change):
    before = code_state.text_of(str(shop / "current"))
    {**COUNTS, **DOES_NOT_COUNT}[change](shop)
    assert (code_state.text_of(str(shop / "current")) != before) == (change in COUNTS)


def test_of_a_file_its_size_and_time_count(shop):
    path = shop / "releases/1/data/jobs.db"
    before = code_state.text_of(str(path))
    path.write_text("more rows")
    assert code_state.text_of(str(path)) != before


@pytest.fixture
def look():
    me = users.user_name(os.geteuid())
    return lambda *paths, user=me: code_state.look([worker(user=user, restart_on=list(map(str, paths)))])


def test_each_path_of_a_service_has_its_text(shop, look):
    paths = [str(shop / "current"), str(shop / "releases/2")]
    assert look(*paths) == ({"w": {path: code_state.text_of(path) for path in paths}}, [])


def test_a_path_that_is_not_there_is_an_error(shop, look):
    states, (error,) = look(shop / "gone", shop / "current")
    assert list(states["w"]) == [str(shop / "current")]
    assert error.startswith(f"w: restart_on '{shop}/gone' can't be looked at as ")
    assert error.endswith(": No such file or directory. Correct the path, or deploy the code first.")


def test_a_directory_with_too_many_entries_is_an_error(shop, look, monkeypatch):
    monkeypatch.setattr(code_state, "MOST", 5)
    _states, (error,) = look(shop)
    assert "it has more than 5 entries. Name a directory in it" in error


def test_nothing_is_opened_and_nobody_waits_for_a_fifo(shop, look):
    fifo = shop / "releases/1/shop/waits.py"
    os.mkfifo(fifo)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert look(shop / "current", fifo)[1] == []


def test_who_looks_is_not_waited_for_for_ever(shop, look, monkeypatch):
    monkeypatch.setattr(code_state, "PATIENCE", 0.2)
    monkeypatch.setattr(code_state, "text_of", lambda _: time.sleep(600))
    began = time.monotonic()
    _states, (error,) = look(shop / "current")
    assert "the process that looks sent nothing in time. Name what a deployment replaces" in error
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("answer", ["text", 1, None, [], ["x", "", ""], ["../../etc", ""], ["a" * 17, ""], [["a"], ""]])
def test_its_answer_is_not_trusted(shop, look, monkeypatch, answer):
    monkeypatch.setattr(code_state, "_text_or_error", lambda _: answer)
    states, (error,) = look(shop / "current")
    assert states == {"w": {}}
    assert error.endswith("the answer is not valid.")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")
def test_the_services_user_looks_and_not_root(shop, look):
    shop.chmod(0o700)
    states, (error,) = look(shop / "current", user="nobody")
    assert states == {"w": {}}
    assert "can't be looked at as nobody: Permission denied." in error


def test_services_with_the_same_code_share_a_look(shop, monkeypatch):
    looks = []
    monkeypatch.setattr(code_state, "_look", lambda *key: looks.append(key) or {"/srv": ["a" * 16, ""]})
    states, _errors = code_state.look([worker(name=name, restart_on=["/srv"]) for name in "ab"])
    assert states == {"a": {"/srv": "a" * 16}, "b": {"/srv": "a" * 16}}
    assert len(looks) == 1


def test_a_user_that_does_not_exist_is_an_error(look):
    (error,) = code_state.look([worker(user="nobody-we-know", restart_on=["/srv"])])[1]
    assert "there is no user 'nobody-we-know' or no group ''. Create it first." in error
