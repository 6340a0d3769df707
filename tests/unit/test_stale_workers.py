"""Which processes are leftovers of this application and node, and which are neighbours."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

FILES = Path(__file__).parents[2] / "roles" / "celery_worker" / "files"
sys.path.insert(0, str(FILES))
stale = importlib.import_module("stale_workers")

WANTED = stale.Wanted(app="shop", directory="/srv/shop", node="celery@%h", uids=frozenset({1000, 0}))
PYTHON, CELERY = "/venv/bin/python3", "/venv/bin/celery"
MAIN = stale.Process(10, 1, 1000, (PYTHON, CELERY, "-A", "shop", "worker", "-c", "2"), "/srv/shop", "1", "-")
SHELL = stale.Process(1, 0, 0, ("/sbin/init",), "/", "0", "-")


@pytest.mark.parametrize(
    "argv",
    [
        (PYTHON, CELERY, "--app=shop", "worker"),
        (PYTHON, CELERY, "-Ashop", "worker", "-n", "celery@%h"),
        (PYTHON, "-m", "celery", "-A", "shop", "worker", "--hostname=celery@host.example"),
        ("[celeryd: celery@host.example:MainProcess] -active- (worker -c 2)",),
    ],
)
def test_ours_in_every_form(argv):
    assert stale.matches(replace(MAIN, argv=argv), SHELL, WANTED, "host.example")


@pytest.mark.parametrize(
    "neighbour",
    [
        replace(MAIN, argv=(PYTHON, CELERY, "-A", "album", "worker")),
        replace(MAIN, argv=(PYTHON, CELERY, "-A", "shop", "beat")),
        replace(MAIN, argv=(PYTHON, CELERY, "-A", "shop", "worker", "-n", "other@%h")),
        replace(MAIN, argv=("vim", "celery_worker.py")),
        replace(MAIN, argv=("grep", "celery -A shop worker")),
        replace(MAIN, argv=("[celeryd: celery@host:ForkPoolWorker-1]",)),
        replace(MAIN, directory="/srv/other"),
        replace(MAIN, uid=33),
    ],
    ids=lambda process: " ".join(process.argv),
)
def test_neighbours(neighbour):
    assert not stale.matches(neighbour, SHELL, WANTED, "host")


def test_a_pool_child_is_its_main_processs_business():
    assert not stale.matches(replace(MAIN, pid=11, ppid=10), MAIN, WANTED, "host")


@pytest.mark.parametrize(
    ("cgroup", "root", "unit", "loose"),
    [
        ("0::/system.slice/shop.service", "/", "shop.service", False),
        ("0::/system.slice/cron.service", "/", "cron.service", True),
        ("0::/user.slice/user-0.slice/session-3.scope", "/", "session-3.scope", True),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/tmux.scope", "/", "tmux.scope", False),
        ("0::/system.slice/docker-0123.scope/init.scope", "/", "container", False),
        ("0::/", "/", "-", True),
        ("9:name=systemd:/docker/0123\n0::/", "/docker/0123", "-", True),
        ("9:name=systemd:/docker/0123/system.slice/shop.service\n0::/", "/docker/0123", "shop.service", False),
        ("9:name=systemd:/docker/4567\n0::/", "/docker/0123", "container", False),
    ],
)
def test_who_holds_a_process(cgroup, root, unit, loose):
    process = replace(MAIN, unit=stale.unit_of(cgroup, root))
    assert (process.unit, process.loose) == (unit, loose)


@pytest.mark.parametrize(
    ("node", "full"),
    [("celery@%h", "celery@h.example.org"), ("w@%n", "w@h"), ("w@%d", "w@example.org"), ("w@fixed", "w@fixed")],
)
def test_node_names(node, full):
    assert stale.expand(node, "h.example.org") == full
