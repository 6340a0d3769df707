"""What the preflight makes of a line of stale_workers.py, as that program writes it."""

import sys

import pytest
import stale_workers as stale
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import stale_workers
from workers import worker


@pytest.fixture
def report(monkeypatch, capsys):
    """The program's own line about a process, and what is made of it."""

    def run(unit=stale.NO_UNIT, user="shop", **said):
        monkeypatch.setattr(stale, "processes", lambda: [process])
        monkeypatch.setattr(stale, "matches", lambda *_: True)
        monkeypatch.setattr(stale, "user_name", lambda _: user)
        monkeypatch.setattr(sys, "argv", ["", "--app=shop", "--directory=/srv/shop", "--node=w@h", "--user=root"])
        process = stale.Process(42, 1, 0, ("celery",), "/srv/shop", forked=False, started="1", unit=unit)
        assert stale.main() == 0
        (line,) = capsys.readouterr().out.splitlines()
        return "".join(stale_workers.sentences(worker(user="shop", **said), line))

    return run


@pytest.mark.parametrize(
    ("said", "then"),
    [
        ({"stale_workers": "report"}, "The next start leaves it alone (stale_workers: report)."),
        ({"stale_workers": "stop"}, "The next start asks it to finish (stale_workers: stop)."),
        ({"stale_workers": "kill"}, "The next start asks it to finish, and kills it after 60s (stale_workers: kill)."),
        ({"user": "root"}, "the next start leaves it alone, as it is root's. End it: kill -TERM 42, or"),
        ({"user": "root", "stale_workers_users": ["root"]}, "The next start asks it to finish (stale_workers: stop)."),
        ({"unit": "session-3.scope"}, "The next start asks it to finish"),
        ({"unit": "other.service"}, "in other.service: is a worker of shop in /srv/shop, node w@h, since "),
        ({"unit": "other.service"}, "It is left alone. Stop that service, or give one another node_name."),
    ],
)
def test_a_sentence_says_what_the_next_start_does(report, said, then):
    sentence = report(**said)
    assert sentence.startswith("w: process 42 of ")
    assert then in sentence


@pytest.mark.parametrize("unit", ["w.service", stale.CONTAINER, "run-r1.scope"])
def test_nothing_is_said_of_the_worker_itself_and_of_what_nobody_can_help(report, unit):
    assert report(unit) == ""
