"""What a report asks of installed programs."""

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import systemd
from ansible_collections.evenkeel.celery.plugins.module_utils._common.processes import Result
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import programs
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.config import Service
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.programs import (
    Stuck,
    stale_processes,
    stuck_jobs,
)

SEARCH = (
    "{ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 -I -S /usr/local/lib/evenkeel/w/stale_workers.py --kind=worker"
    " --app=shop --directory=/opt/shop --node=w@%h --user=shop --timeout=60 --action=kill"
    " --reason=/run/evenkeel/w.stale-workers ; ignore_errors=no ; start_time=[n/a] }"
)
FOUND = (
    "stale_workers: process 7 of shop, in no unit: is a worker of shop in /opt/shop, since 2026-11-27 20:00: stale\n"
    "stale_workers: process 8 of shop, in w.service: is a worker of shop in /opt/shop: left alone\n"
)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The commands that are run. answer: what they give."""
    commands = []

    def answer(output="", error="", status=0, exceeded="", configs=("job_cleanup.json",)):
        for config in configs:
            (tmp_path / config).touch()
        monkeypatch.setattr(programs, "CONFIGURATION", str(tmp_path))
        monkeypatch.setattr(programs, "CLEAN_UP", str(tmp_path))
        monkeypatch.setattr(systemd, "show", lambda names, properties: {names[0]: {"ExecStart": SEARCH}})
        monkeypatch.setattr(
            programs.processes,
            "run",
            lambda command, *_limits, **_options: commands.append(command) or Result(output, error, status, exceeded),
        )
        return commands

    return answer


def database(**fields):
    return {
        **{"name": "jobs", "counts": {"jobs": {"reset": 2}, "links": {"delete": 1}}, "skipped_count": 1, "error": ""},
        **{"oldest_seconds": 60.5, "changes": [{"id": f"job-{number}"} for number in range(9)], **fields},
    }


def test_a_dry_run_tells_which_jobs_are_stuck(asked):
    commands = asked(json.dumps({"databases": [database()]}), configs=("job_cleanup.json", "job_cleanup.peakops.json"))
    found = stuck_jobs("1h")
    assert (found.known, found.count, found.skipped, found.oldest) == (True, 6, 2, 60.5)
    assert found.databases[0].jobs == [f"job-{number}" for number in range(5)]
    assert [command[1:4] for command in commands] == [["--dry-run", "--json", "--config"]] * 2
    assert commands[0][-2:] == ["--threshold", "1h"]


def test_without_the_role_it_is_not_known(asked):
    asked(configs=())
    assert stuck_jobs() == Stuck(why="the role job_cleanup is not on this host")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            {"output": json.dumps({"databases": [database(error="jobs: no worker answers.")]})},
            "jobs: no worker answers.",
        ),
        ({"error": "Traceback\njobs: it is locked\x1b", "status": 1}, "jobs: it is locked\\x1b"),
        ({"exceeded": "time"}, "exceeded its limit of time"),
        ({"output": "[]"}, "it gave no answer"),
    ],
)
def test_what_can_not_be_known_has_a_reason(asked, answer, why):
    asked(**answer)
    found = stuck_jobs()
    assert (found.known, found.why) == (False, why)


def test_stale_processes_are_searched_for_and_left_alone(asked):
    commands = asked(FOUND)
    assert stale_processes(Service("w", "worker")) == [
        "process 7 of shop, in no unit: is a worker of shop in /opt/shop, since 2026-11-27 20:00"
    ]
    assert "--action=report" in commands[0]
    assert not [word for word in commands[0] if word.startswith(("--action=kill", "--reason"))]


@pytest.mark.parametrize(
    "start", ["", "{ path=/bin/x ; argv[]=/bin/x ; ignore_errors=no }", "argv[]=' ; ignore_errors="]
)
def test_without_our_search_nobody_has_looked(asked, monkeypatch, start):
    commands = asked(FOUND)
    monkeypatch.setattr(systemd, "show", lambda names, properties: {names[0]: {"ExecStart": start}})
    assert stale_processes(Service("w", "worker")) is None
    assert not commands
