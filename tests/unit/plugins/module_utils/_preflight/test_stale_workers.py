"""The preflight's sentences for what stale_workers.py reports."""

from dataclasses import replace

import pytest
import stale_workers as stale
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import stale_workers
from workers import beat, worker

WANTED = stale.Wanted("worker", "shop", "/srv/shop", "w@h", frozenset({0}), "h")
PROCESS = stale.Process(42, 1, 0, ("celery",), "/srv/shop", forked=False, started="1", unit=stale.NO_UNIT)


@pytest.fixture
def report(monkeypatch):
    """The preflight's sentence for what the program reports of a process."""

    def run(unit=stale.NO_UNIT, user="shop", **options):
        monkeypatch.setattr(stale, "user_name", lambda _: user)
        data = stale.data(replace(PROCESS, unit=unit), WANTED)
        return "".join(stale_workers.sentences(worker(user="shop", **options), data))

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
    assert sentence.startswith("process 42 of ")
    assert then in sentence


@pytest.mark.parametrize("unit", ["w.service", stale.CONTAINER, "run-r1.scope"])
def test_the_worker_itself_and_processes_in_containers_or_scopes_are_not_reported(report, unit):
    assert report(unit) == ""


@pytest.mark.parametrize(
    ("process", "options", "then"),
    [
        ({}, {}, "The next start asks it to finish (stale_beats: stop)."),
        ({"uid": 5}, {"user": "web"}, "It sends every task once more, and the next start leaves it alone"),
        ({"unit": "other.service"}, {}, "Stop that service, as it sends every task once more."),
        ({"embedded": True, "unit": "w.service"}, {}, "It sends every task once more. Start that worker without -B."),
    ],
)
def test_a_second_beat_is_named_wherever_it_runs(monkeypatch, process, options, then):
    monkeypatch.setattr(stale, "user_name", lambda _: "shop")
    wanted = replace(WANTED, kind="beat", node="")
    (sentence,) = stale_workers.sentences(
        beat(**{"user": "shop", **options}), stale.data(replace(PROCESS, **process), wanted)
    )
    assert then in sentence


def test_one_process_answers_for_all_workers(monkeypatch):
    program = "import json, sys; print(json.dumps([[{**each, 'unit': ''}] for each in json.loads(sys.argv[2])]))"
    program += "; print('a warning', 'a warning', sep='\\n', file=sys.stderr)"
    monkeypatch.setattr(stale_workers, "sentences", lambda _, search: [f"node {search['node']} of {search['users']}"])
    assert list(stale_workers.report([worker(), worker(name="x", user="root")], program)) == [
        "a warning",
        "w: node w@%h of ['celery', 'root']",
        "x: node x@%h of ['root']",
    ]


def test_of_many_processes_some_are_reported_and_the_others_counted(monkeypatch):
    program = "import json; print(json.dumps([[{'unit': 'no unit'}] * 5000]))"
    monkeypatch.setattr(stale_workers, "sentences", lambda _, process: ["a process"])
    sentences = list(stale_workers.report([worker()], program))
    assert len(sentences) == stale_workers.MOST + 1
    assert sentences[-1] == "w: 4980 more workers of this application are running."


def test_services_of_one_list_are_not_reported_to_each_other():
    process = {"pid": 1, "user": "shop", "is": "is a beat", "stale": False, "embedded": False}
    program = f"import json; print(json.dumps([[{ {**process, 'unit': 'c.service'} }]] * 2))"
    assert list(stale_workers.report([beat(), beat(name="c")], program)) == []
    assert len(list(stale_workers.report([beat(), beat(name="d")], program))) == 2
    assert list(stale_workers.report([beat(), beat(name="d")], program, together_with=["c"])) == []


@pytest.mark.parametrize("program", ["raise SystemExit('no such thing')", "while True: pass"])
def test_a_search_that_fails_or_does_not_end_is_a_sentence(monkeypatch, program):
    monkeypatch.setattr(stale_workers, "TIMEOUT", 0.5)
    (sentence,) = stale_workers.report([worker()], program)
    assert sentence.startswith("The search for stale workers failed: ")
