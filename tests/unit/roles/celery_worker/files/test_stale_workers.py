"""Which processes are workers of the given application and node, and which of them are stale."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import stale_workers as stale
from hypothesis import given
from hypothesis import strategies as st

HOST = "host.example"
WANTED = stale.Wanted("worker", "shop", "/srv/shop", "celery@%h", frozenset({1000, 0}), HOST)
PYTHON, CELERY = "/venv/bin/python3", "/venv/bin/celery"
MAIN = stale.Process(
    pid=10,
    parent=1,
    uid=1000,
    argv=(PYTHON, CELERY, "-A", "shop", "worker", "-c", "2"),
    directory="/srv/shop",
    forked=False,
    started="1",
    unit=stale.NO_UNIT,
)


BEATS = replace(WANTED, kind="beat", node="")


def celery(*words):
    return replace(MAIN, argv=(PYTHON, CELERY, *words))


@pytest.mark.parametrize(
    "ours",
    [
        MAIN,
        celery("--app=shop", "worker"),
        celery("-Ashop", "worker", "-n", "celery@%h"),
        celery("-q", "-b", "redis://:worker@h/0", "--workdir", "/srv/shop", "-A", "shop", "worker", "-l", "info"),
        celery("-A", "shop", "worker", "-n", "@%h"),
        celery("-A", "shop", "worker", "-n", f"celery@{HOST}", "--", "-n=elsewhere"),
        replace(MAIN, argv=(PYTHON, "-m", "celery", "-A", "shop", "worker", f"--hostname=celery@{HOST}")),
        replace(MAIN, argv=("/usr/bin/python3.11", "-u", "-X", "dev", CELERY, "-A", "shop", "worker")),
        replace(MAIN, argv=("celery", "-A", "shop", "worker")),
        replace(MAIN, argv=("/usr/bin/python3.13t", "/srv/celery.pyz", "-A", "shop", "worker")),
        replace(MAIN, argv=(PYTHON, "/nix/store/7-celery-5.5.3/bin/.celery-wrapped", "-A", "shop", "worker")),
        replace(MAIN, argv=(PYTHON, "/home/a/.cache/pex/unzipped_pexes/4/dd15", "-A", "shop", "worker")),
        replace(MAIN, argv=(f"[celeryd: celery@{HOST}:MainProcess] -active- (-A shop worker -c 2)",)),
        replace(MAIN, uid=0),
        replace(MAIN, directory="/srv/shop (deleted)"),
        replace(celery("--workdir=/srv/shop/", "-A", "shop", "worker"), directory="/elsewhere"),
    ],
    ids=lambda process: " ".join(process.argv),
)
def test_a_worker_is_recognized_in_every_form(ours):
    assert stale.matches(ours, WANTED)


@pytest.mark.parametrize(
    ("process", "embedded"),
    [
        (celery("-A", "shop", "beat"), False),
        (celery("-A", "shop", "beat", "-l", "info", "-s", "/tmp/schedule"), False),
        (replace(MAIN, argv=("[celery beat] -A shop beat -l info",)), False),
        (celery("-A", "shop", "worker", "-B"), True),
        (celery("-A", "shop", "worker", "-EBl", "info"), True),
        (celery("-A", "shop", "worker", "--beat", "-n", "other@%h"), True),
    ],
    ids=lambda process: " ".join(process.argv) if isinstance(process, stale.Process) else "",
)
def test_a_beat_is_recognized_by_itself_and_within_a_worker(monkeypatch, process, embedded):
    monkeypatch.setattr(stale, "processes", lambda _uids: [process])
    (found,) = stale.find(BEATS)
    assert found.embedded == embedded
    assert found.unmanaged != embedded


@pytest.mark.parametrize(
    "words",
    [["worker", "-QBatch"], ["worker", "-n", "Bob@%h"], ["events", "-B"], ["-A", "album", "beat"], ["beat", "-A", "x"]],
)
def test_other_processes_are_no_beats(words):
    app = [] if "-A" in words else ["-A", "shop"]
    assert not stale.matches(celery(*app, *words), BEATS)


@pytest.mark.parametrize(
    "neighbour",
    [
        celery("-A", "album", "worker"),
        celery("-A", "shop.other", "worker"),
        celery("-A", "shop", "worker", "-n", "other@%h"),
        celery("-A", "shop", "worker", "-n", "elsewhere"),
        celery("-A", "shop", "beat"),
        celery("-A", "shop", "flower", "--title=worker"),
        celery("-A", "shop"),
        replace(MAIN, argv=("vim", "celery_worker.py")),
        replace(MAIN, argv=("vim", CELERY, "-A", "shop", "worker")),
        replace(MAIN, argv=("sudo", "celery", "-A", "shop", "worker")),
        replace(MAIN, argv=("grep", "celery -A shop worker")),
        replace(MAIN, argv=("sh", "-c", "celery -A shop worker")),
        replace(MAIN, argv=(PYTHON, "manage.py", "celery", "-A", "shop", "worker")),
        replace(MAIN, argv=(PYTHON, "-c", "celery", "-A", "shop", "worker")),
        replace(MAIN, argv=(PYTHON, "/srv/faust", "-A", "shop", "worker")),
        replace(MAIN, argv=(f"[celeryd: celery@{HOST}:ForkPoolWorker-1]",)),
        replace(MAIN, argv=(f"[celeryd: celery@{HOST}:MainProcess] -active- (-A album worker)",)),
        replace(MAIN, argv=("",)),
        replace(MAIN, directory="/srv/other"),
        replace(MAIN, directory="/srv/shop/below"),
        replace(MAIN, uid=33),
        replace(MAIN, forked=True),
    ],
    ids=lambda process: f"{' '.join(process.argv)} in {process.directory}",
)
def test_other_processes_are_not_taken_for_the_worker(neighbour):
    assert not stale.matches(neighbour, WANTED)


@pytest.fixture
def releases(tmp_path):
    """An application of two releases, as Capistrano, Deployer and Ansistrano lay them out: the second is current."""
    for name in ("releases/1/app", "releases/2/app", "other/1/app"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/2")
    stale.real_path.cache_clear()
    return tmp_path


@pytest.mark.parametrize("below", ["", "/app"])
@pytest.mark.parametrize(
    "there",
    [
        {"directory": "{}/releases/1"},
        {"directory": "{}/releases/2"},
        {"directory": "{}/releases/of 2025 (deleted)"},
        {"directory": "{}/builds/1", "called": "{}/current"},
    ],
)
def test_a_worker_of_an_earlier_release_is_one_of_the_application(releases, there, below):
    there = {name: path.format(releases).replace(" (", f"{below} (") for name, path in there.items()}
    there = {name: path if path.endswith(")") else path + below for name, path in there.items()}
    assert stale.matches(replace(MAIN, **there), replace(WANTED, directory=f"{releases}/current{below}"))


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ({"directory": "{}/other/1"}, "current"),
        ({"directory": "{}/releases/1/app"}, "current"),
        ({"directory": "{}/releases"}, "current"),
        ({"directory": "/srv/x/releases/1"}, "current"),
        ({"directory": "{}/releases/1"}, "releases/2"),  # the inventory names one release
        ({"directory": "{}/other/1", "called": "{}/current/app"}, "current"),
    ],
)
def test_a_worker_of_another_directory_is_of_no_earlier_release(releases, there, wanted):
    there = {name: path.format(releases) for name, path in there.items()}
    assert not stale.matches(replace(MAIN, **there), replace(WANTED, directory=f"{releases}/{wanted}"))


@pytest.mark.parametrize(
    ("environ", "called"),
    [("OLDPWD=/x\0PWD=/srv/shop/current\0", "/srv/shop/current"), ("PWD=/y", "/y"), ("OLDPWD=/x\0", ""), ("", "")],
)
def test_what_a_process_calls_its_directory_is_in_its_environment(tmp_path, environ, called):
    (tmp_path / "environ").write_text(environ)
    assert stale.called(tmp_path) == called


def test_a_process_whose_environment_can_not_be_read_is_looked_at_all_the_same(monkeypatch):
    def read(path):
        if path.name == "environ":
            raise PermissionError
        return usual(path)

    usual = stale.read
    monkeypatch.setattr(stale, "read", read)
    ours = stale.look(os.getpid(), [os.getuid()])
    assert (ours.directory, ours.called) == (str(Path.cwd()), "")


def test_an_application_can_be_called_worker():
    wanted = replace(WANTED, app="worker")
    assert stale.matches(celery("-A", "worker", "worker"), wanted)
    assert not stale.matches(celery("-A", "worker", "beat"), wanted)
    assert not stale.matches(celery("-Aworker", "--workdir=/srv/shop", "inspect", "worker"), wanted)


# The last five were read from a Docker container with systemd on cgroup v1.
IN_DOCKER = "/docker/0123"


@pytest.mark.parametrize(
    ("cgroup", "init", "unit", "loose"),
    [
        ("0::/system.slice/shop.service", "0::/init.scope", "shop.service", False),
        ("0::/system.slice/cron.service", "0::/init.scope", "cron.service", True),
        ("0::/system.slice/ssh.service", "0::/init.scope", "ssh.service", True),
        ("0::/user.slice/user-0.slice/session-3.scope", "0::/init.scope", "session-3.scope", True),
        ("0::/user.slice/user-0.slice/user@0.service/init.scope", "0::/init.scope", "user@0.service", False),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/my.service", "0::/init.scope", "my.service", False),
        ("0::/user.slice/user-0.slice/user@0.service/tmux-spawn-1.scope", "0::/init.scope", "tmux-spawn-1.scope", True),
        ("0::/system.slice/run-r1.scope", "0::/init.scope", "run-r1.scope", False),
        ("0::/system.slice/docker-0123.scope", "0::/init.scope", stale.CONTAINER, False),
        ("0::/system.slice/docker-0123.scope/system.slice/shop.service", "0::/init.scope", stale.CONTAINER, False),
        ("0::/machine.slice/libpod-0123.scope/container", "0::/init.scope", stale.CONTAINER, False),
        ("0::/", "0::/init.scope", stale.NO_UNIT, True),
        ("0::/init.scope", "0::/init.scope", stale.NO_UNIT, True),
        ("9:name=systemd:/\n0::/", "9:name=systemd:/init.scope\n0::/", stale.NO_UNIT, True),
        ("9:name=systemd:/docker/4567\n0::/", "9:name=systemd:/init.scope\n0::/", stale.CONTAINER, False),
        ("9:name=systemd:{d}\n0::{d}", "9:name=systemd:{d}/init.scope\n0::{d}/init.scope", stale.NO_UNIT, True),
        ("9:name=systemd:{d}/system.slice/a.service\n0::{d}", "9:name=systemd:{d}/init.scope\n", "a.service", False),
        ("9:name=systemd:{d}/user.slice/session-c1.scope", "9:name=systemd:{d}/init.scope", "session-c1.scope", True),
        ("9:name=systemd:{d}4", "9:name=systemd:{d}/init.scope", stale.CONTAINER, False),
        ("9:name=systemd:/", "9:name=systemd:{d}/init.scope", stale.CONTAINER, False),
    ],
)
def test_the_unit_of_a_process_and_whether_it_manages_it(cgroup, init, unit, loose):
    root = stale.root_of(init.format(d=IN_DOCKER))
    process = replace(MAIN, unit=stale.unit_of(cgroup.format(d=IN_DOCKER), root))
    assert (process.unit, process.unmanaged) == (unit, loose)


@pytest.mark.parametrize(
    ("node", "full"),
    [
        ("", "celery@h.example.org"),
        ("celery@%h", "celery@h.example.org"),
        ("w@%n", "w@h"),
        ("w@%d", "w@example.org"),
        ("w@fixed", "w@fixed"),
        ("w@", "w@h.example.org"),
        ("fixed", "celery@fixed"),
        ("w-%i@%h", "w-%i@h.example.org"),
    ],
)
def test_node_names_are_expanded_as_by_celery(node, full):
    assert stale.full_name(node, "h.example.org") == full


def test_passwords_are_not_printed(capsys):
    stale.say(celery("-b", "redis://:secret@h/0", "-A", "shop", "worker"), "stale")
    assert "secret" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("uids", "user"),
    [("1000 1000 1000 1000", 1000), ("1000 0 0 0", None), ("1000 0 1000 0", None), ("1000 1000 0 1000", None)],
)
def test_a_setuid_program_is_nobodys_worker(uids, user):
    """Otherwise any user could keep a worker from starting, by a worker of root's that is none."""
    tabs = uids.replace(" ", "\t")
    assert stale.user_of(f"Name:\tcelery\nUmask:\t0022\nUid:\t{tabs}\nGid:\t5\t5\t5\t5\n") == user


def test_directories_are_compared_without_looking_at_what_a_process_names(monkeypatch):
    for name in ("realpath", "stat", "lstat"):
        monkeypatch.setattr(os.path if name == "realpath" else os, name, lambda *_, **__: pytest.fail("looked up"))
    monkeypatch.setattr(stale, "real_path", lambda _: "/srv/releases/2")
    hostile = replace(celery("--workdir=/home/shop/fuse/hangs", "-A", "shop", "worker"), directory="/home/shop/fuse")
    assert not stale.matches(hostile, WANTED)
    assert stale.matches(replace(MAIN, directory="/srv/releases/2"), WANTED)


TEXT = st.text(st.characters(blacklist_categories=("Cs",)))


@given(st.lists(TEXT, min_size=1), TEXT)
def test_any_command_line_is_a_worker_or_not(argv, directory):
    assert stale.matches(replace(MAIN, argv=tuple(argv), directory=directory), WANTED) in (True, False)


@given(TEXT, TEXT)
def test_any_control_group_has_a_unit_that_is_printed_in_one_line(group, root):
    unit = stale.unit_of(f"0::/{group}.service\n", f"/{root}")
    line = stale.line(replace(MAIN, unit=unit), "stale")
    assert line.isprintable()


@pytest.fixture
def sleeper(tmp_path):
    """A process of ours whose command line is that of a worker in tmp_path, and that goes on for megabytes."""
    celery = tmp_path / "celery"
    celery.write_text("import signal, time; signal.signal(15, 1); print('begun', flush=True); time.sleep(600)")
    line = [sys.executable, celery, "-A", "shop", "worker", "-n", "w@h", *["\U0001f600" + "x" * 100_000] * 10]
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def options(directory, reason, action):
    user = stale.user_name(os.getuid())
    search = ["--app=shop", f"--directory={directory}", "--node=w@h", f"--user={user}", "--user=nobody-we-know"]
    return ["", *search, "--timeout=0.1", f"--action={action}", f"--reason={reason}"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_while_a_stale_worker_runs_the_reason_is_in_a_file(sleeper, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stale, "unit_of", lambda *_: stale.NO_UNIT)
    reason = tmp_path / "reason"

    monkeypatch.setattr(sys, "argv", options(tmp_path, reason, "stop"))
    assert stale.main() == 1
    (line,) = reason.read_text().splitlines()
    assert line.endswith(f"or end it by hand: kill -KILL {sleeper.pid}")
    assert "user 'nobody-we-know' does not exist" in capsys.readouterr().err

    monkeypatch.setattr(sys, "argv", options(tmp_path, reason, "kill"))
    assert stale.main() == 0
    assert sleeper.wait() == -signal.SIGKILL
    assert not reason.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_search_that_is_killed_leaves_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(stale, "find", lambda _: sys.exit("killed"))
    monkeypatch.setattr(sys, "argv", options(tmp_path, tmp_path / "reason", "stop"))
    with pytest.raises(SystemExit):
        stale.main()
    assert "has not ended" in (tmp_path / "reason").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_several_searches_are_one_report(sleeper, tmp_path, monkeypatch):
    monkeypatch.setattr(stale, "unit_of", lambda *_: stale.NO_UNIT)
    user = stale.user_name(os.getuid())
    search = {"kind": "worker", "app": "shop", "directory": str(tmp_path), "node": "w@h", "users": [user]}
    ours, others = json.loads(stale.report([search, {**search, "app": "album"}]))
    assert [(each["pid"], each["user"], each["stale"]) for each in ours] == [(sleeper.pid, user, True)]
    assert others == []


def test_what_is_read_of_a_process_is_bounded(sleeper):
    assert len(stale.read(Path("/proc", str(sleeper.pid), "cmdline"))) <= stale.LONGEST
