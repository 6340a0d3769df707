"""Which processes are workers of the given application and node, and which of them are stale."""

from dataclasses import replace

import pytest
import stale_workers as stale

HOST = "host.example"
WANTED = stale.Wanted("shop", "/srv/shop", "celery@%h", frozenset({1000, 0}), HOST)
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
