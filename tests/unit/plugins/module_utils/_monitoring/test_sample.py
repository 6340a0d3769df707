"""A sample's metrics and its line of history."""

import json
import os
import pwd
import re

import journals
import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.metrics import (
    STUCK_JOBS_FIELD,
    STUCK_JOBS_MESSAGE,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import (
    counters,
    ends,
    sample,
    stuck_jobs,
    unit_state,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.config import Config, Service
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.metrics import (
    METRICS,
    OUTCOMES,
    REASONS,
    STATES,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.status import parse
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.unit_state import Memory, UnitState

real_owners = stuck_jobs.owners
DONE = "Task shop.order[1] succeeded in 2.5s: None"
LINE = re.compile(r'(?P<name>[a-z_]+)(?:\{(?P<labels>(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (?P<value>\S+)')


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A host with a worker and a beat. take() returns the series of a sample."""
    return Host(monkeypatch, tmp_path)


class Host:
    def __init__(self, monkeypatch, directory):
        self.journal, self.directory = journals.Journal(), directory
        self.config = Config((Service("w", "worker", tasks=("shop.daily",)), Service("b", "beat")))
        self.units = {"w": UnitState("ready", says=parse("ready; 2 running, 5 taken, 47 started in all"))}
        monkeypatch.setattr(counters, "Reading", self.journal.Reading)
        monkeypatch.setattr(ends, "kernel_is_heard", lambda: False)
        monkeypatch.setattr(stuck_jobs, "owners", lambda: {"jobs": {0, 997}})
        monkeypatch.setattr(
            unit_state, "look", lambda names: {each: self.units.get(each, UnitState("stopped")) for each in names}
        )

    def take(self):
        self.history = json.loads(sample.take(self.config, self.directory))
        self.text = (self.directory / sample.TEXTFILE).read_text(encoding="utf-8")
        return series(self.text)


def series(text):
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = LINE.fullmatch(line).groups()
            assert (name, labels) not in found, "a series is there twice"
            found[f"{name}{{{labels}}}" if labels else name] = float(value)
    return found


def with_name(found, name):
    return {each: value for each, value in found.items() if each.partition("{")[0] == name}


def test_all_is_as_the_table_has_it(host):
    host.journal.line("w", DONE)
    host.take()
    host.take()
    metrics = {metric.name: metric for metric in METRICS}
    assert len(metrics) == len(METRICS)
    for name, labels, _value in (LINE.fullmatch(each).groups() for each in host.text.splitlines() if each[0] != "#"):
        assert tuple(re.findall(r'(\w+)="', labels or "")) == metrics[name].labels
    assert [line.split()[2] for line in host.text.splitlines() if line.startswith("# TYPE")] == [
        name for name in metrics if with_name(series(host.text), name)
    ]


def test_a_service_is_in_one_state(host):
    found = with_name(host.take(), "evenkeel_service_state")
    assert len(found) == 2 * len(STATES)
    assert {each for each, value in found.items() if value} == {
        'evenkeel_service_state{service="w",kind="worker",state="ready"}',
        'evenkeel_service_state{service="b",kind="beat",state="stopped"}',
    }


def test_what_a_service_does_not_say_is_absent(host):
    assert host.take()['evenkeel_worker_running_tasks{service="w"}'] == 2
    host.units["w"] = UnitState("starting")
    found = host.take()
    assert not with_name(found, "evenkeel_worker_running_tasks")
    assert not with_name(found, "evenkeel_service_memory_working_bytes")
    assert not with_name(found, "evenkeel_beat_sent_tasks_total")


def test_all_reasons_are_there_from_the_beginning(host):
    found = with_name(host.take(), "evenkeel_service_ends_total")
    assert set(found) == {
        f'evenkeel_service_ends_total{{service="{each}",reason="{reason}"}}' for each in "wb" for reason in REASONS
    }
    assert not any(found.values())


def test_a_new_task_is_shown_as_zeros_once(host):
    """So that increase() sees what it began with."""
    host.journal.line("w", DONE, at=4e9)
    name = 'evenkeel_tasks_total{{service="w",task="{}",outcome="{}"}}'
    first, second = host.take(), host.take()
    assert [first[name.format("shop.order", each)] for each in OUTCOMES] == [0, 0, 0]
    assert [second[name.format("shop.order", each)] for each in OUTCOMES] == [1, 0, 0]
    assert second['evenkeel_task_seconds_total{service="w",task="shop.order"}'] == 2.5
    assert second['evenkeel_task_last_success_timestamp_seconds{service="w",task="shop.order"}'] == 4e9


def test_a_task_of_the_inventory_is_shown_before_it_has_ended_once(host):
    """But only if the log tells of tasks at all: it may have a format of its own."""
    assert not with_name(host.take(), "evenkeel_tasks_total")
    host.journal.line("w", DONE, at=4e9)
    found = host.take()
    assert found['evenkeel_tasks_total{service="w",task="shop.daily",outcome="succeeded"}'] == 0
    assert not with_name(found, 'evenkeel_task_last_success_timestamp_seconds{service="w",task="shop.daily"}')


@pytest.mark.parametrize(
    ("level", "known"),
    [
        ("info", {"tasks", "worker_rate_limited", "worker_lost_tasks"}),
        ("warning", {"worker_rate_limited", "worker_lost_tasks"}),
        ("critical", set()),
    ],
)
def test_what_the_log_does_not_tell_is_absent(host, level, known):
    host.config = Config((Service("w", "worker", level),))
    host.journal.line("w", DONE, at=4e9)
    found = host.take()
    told = ("tasks", "worker_rate_limited", "worker_lost_tasks")
    assert {each for each in told if with_name(found, f"evenkeel_{each}_total")} == known


def test_any_name_of_a_task_can_be_read_back(host):
    for number, name in enumerate(('a"b', "a\\", "naïve", "a{b}=,")):
        host.journal.line("w", f"Task {name}[{number}] succeeded in 1s: None", at=4e9)
    assert len(with_name(host.take(), "evenkeel_task_seconds_total")) == 4 + 1


def test_a_campaign_is_its_flag_file(host, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    flags = {"on": tmp_path, "off": tmp_path / "none", "file": tmp_path / "on" / "x", "closed": closed / "flag"}
    host.config = Config((), {queue: str(flag) for queue, flag in flags.items()})
    closed.chmod(0)
    found = host.take()
    closed.chmod(0o700)
    assert found['evenkeel_campaign{queue="on"}'] == 1
    assert found['evenkeel_campaign{queue="off"}'] == found['evenkeel_campaign{queue="file"}'] == 0
    if os.geteuid():
        assert 'evenkeel_campaign{queue="closed"}' not in found


def told(host, uid, database="jobs", **metrics):
    host.journal.add(
        "jobs: nothing is stuck.",
        4e9,
        MESSAGE_ID=STUCK_JOBS_MESSAGE,
        _UID=str(uid),
        **{STUCK_JOBS_FIELD: json.dumps({database: {f"stuck_jobs_{name}": rows for name, rows in metrics.items()}})},
    )


def test_stuck_jobs_are_taken_over(host):
    told(host, 997, rows=[["jobs", "jobs", "reset", 3], ["jobs", "links", "delete", 1]], failed=[["jobs", 0]])
    for _sample in range(2):
        found = host.take()
        assert found['stuck_jobs_rows{database="jobs",table="jobs",action="reset"}'] == 3
        assert found['stuck_jobs_failed{database="jobs"}'] == 0
    told(host, 0, failed=[["jobs", 1]])
    found = host.take()
    assert found['stuck_jobs_failed{database="jobs"}'] == 1
    assert not with_name(found, "stuck_jobs_rows")


@pytest.mark.parametrize(
    "lie",
    [
        {"uid": 33, "failed": [["jobs", 1]]},
        {"uid": 997, "database": "others", "failed": [["others", 1]]},
        {"uid": 997, "failed": [["others", 1]]},
        {"uid": 997, "failed": [["jobs", "x", 1]]},
        {"uid": 997, "failed": [["jobs", "1"]]},
        {"uid": 997, "failed": [["jobs", float("nan")]]},
        {"uid": 997, "failed": [[]]},
        {"uid": 997, "failed": "jobs"},
        {"uid": 997, "failed": [["jobs", 1]] * 1000},
    ],
)
def test_nobody_tells_what_is_not_theirs_or_is_no_metric(host, lie):
    told(host, 997, failed=[["jobs", 0]])
    told(host, **lie)
    assert with_name(host.take(), "stuck_jobs_failed") == {'stuck_jobs_failed{database="jobs"}': 0}


def test_other_metrics_can_not_be_told(host):
    told(host, 997, rows=[], other=[["jobs", 1]])
    host.journal.add(
        "x", 4e9, MESSAGE_ID=STUCK_JOBS_MESSAGE, _UID="997", **{STUCK_JOBS_FIELD: '{"jobs": {"up": [[1]]}}'}
    )
    assert not with_name(host.take(), "up")


def test_metrics_of_a_database_that_is_no_longer_cleaned_up_go(host, monkeypatch):
    told(host, 0, failed=[["jobs", 0]])
    assert with_name(host.take(), "stuck_jobs_failed")
    monkeypatch.setattr(stuck_jobs, "owners", dict)
    assert not with_name(host.take(), "stuck_jobs_failed")


def test_only_those_who_may_tell_are_listened_to():
    """Others can't keep us busy by writing many entries."""
    (asked,) = stuck_jobs.question({"jobs": {0, 997}, "x": {0}}).matches
    assert asked == [f"MESSAGE_ID={STUCK_JOBS_MESSAGE}", "_UID=0", "_UID=997"]
    assert stuck_jobs.question({}).matches == []


def test_the_owners_are_those_of_roots_configuration(monkeypatch, tmp_path):
    monkeypatch.setattr(stuck_jobs, "CONFIGURATION", str(tmp_path))
    me = pwd.getpwuid(os.getuid())
    config = {
        "databases": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
        "owners": {"a": me.pw_name, "b": "nobody-here"},
    }
    (tmp_path / "job_cleanup.json").write_text(json.dumps(config))
    (tmp_path / "job_cleanup.old.json").write_text('{"databases": [{"name": "d"}]}')
    (tmp_path / "job_cleanup.broken.json").write_text("{")
    assert real_owners() == {"a": {0, me.pw_uid}, "b": {0}, "c": {0}, "d": {0}}


def test_history_is_one_line(host):
    host.units["w"] = UnitState("ready", says=host.units["w"].says, memory=Memory(working=7, peak=9))
    host.take()
    assert host.history["services"] == {"w": [7, 9, 2, 0], "b": [None, None, None, 0]}
    assert host.history["used"] > 0


def test_others_read_the_metrics_and_only_the_sampler_its_counters(host):
    host.take()
    modes = {path.name: path.stat().st_mode & 0o777 for path in host.directory.iterdir() if path.is_file()}
    assert modes == {sample.TEXTFILE: 0o644, sample.COUNTERS: 0o600}
