"""The preflight's sentence for a line that stale_workers.py prints."""

import sys

import pytest
import stale_workers as stale
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import stale_workers
from workers import worker


@pytest.fixture
def report(monkeypatch, capsys):
    """The preflight's sentence for the line that the program prints about a process."""

    def run(unit=stale.NO_UNIT, user="shop", **options):
        monkeypatch.setattr(stale, "processes", lambda: [process])
        monkeypatch.setattr(stale, "matches", lambda *_: True)
        monkeypatch.setattr(stale, "user_name", lambda _: user)
        monkeypatch.setattr(sys, "argv", ["", "--app=shop", "--directory=/srv/shop", "--node=w@h", "--user=root"])
        process = stale.Process(42, 1, 0, ("celery",), "/srv/shop", forked=False, started="1", unit=unit)
        assert stale.main() == 0
        (line,) = capsys.readouterr().out.splitlines()
        return "".join(stale_workers.sentences(worker(user="shop", **options), line))

    return run


@pytest.mark.parametrize(
    ("options", "then"),
    [
        ({"stale_workers": "report"}, "The next start leaves it alone (stale_workers: report)."),
        ({"stale_workers": "stop"}, "The next start asks it to finish (stale_workers: stop)."),
        ({"stale_workers": "kill"}, "The next start asks it to finish, and kills it after 60s (stale_workers: kill)."),
        ({"user": "root"}, "the next start leaves it alone, as it belongs to root. End it (kill -TERM 42), or"),
        ({"user": "root", "stale_workers_users": ["root"]}, "The next start asks it to finish (stale_workers: stop)."),
        ({"unit": "session-3.scope"}, "The next start asks it to finish"),
        ({"unit": "other.service"}, "in other.service: is a worker of shop in /srv/shop, node w@h, since "),
        ({"unit": "other.service"}, "The next start leaves it alone. Stop that service, or set another node_name."),
    ],
)
def test_the_sentence_tells_what_the_next_start_does(report, options, then):
    sentence = report(**options)
    assert sentence.startswith("w: process 42 of ")
    assert then in sentence


@pytest.mark.parametrize("unit", ["w.service", stale.CONTAINER, "run-r1.scope"])
def test_the_worker_itself_and_processes_in_containers_or_scopes_are_not_reported(report, unit):
    assert report(unit) == ""
