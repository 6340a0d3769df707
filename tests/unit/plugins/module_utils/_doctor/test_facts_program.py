"""What is told of an application, its tasks and its Redis. Live, the scenario doctor sees it."""

import sys
from datetime import timedelta
from types import ModuleType, SimpleNamespace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor import facts_program, programs
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.facts import FORMS


def task(name="shop.add", late=False, requeued=False, hard=None, soft=None):
    return SimpleNamespace(
        name=name, acks_late=late, reject_on_worker_lost=requeued, time_limit=hard, soft_time_limit=soft
    )


CONF = SimpleNamespace(task_always_eager=False, task_time_limit=None, task_soft_time_limit=60)


def test_tasks_are_counted_by_their_effective_settings():
    tasks = [task("a", late=True), task("b", late=True, requeued=True), task("c", requeued=True)]
    assert dict(facts_program.of_tasks(tasks, CONF)) == {
        "tasks": 3,
        "late": 2,
        "requeued": 2,
        "late_requeued": 1,
        "eager": False,
    }


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([task()], {"own_limit": 0, "late_own_limit": 0, "late_without_own_limit": False}),
        ([task(late=True)], {"late_own_limit": 0, "late_without_own_limit": True}),
        ([task(hard=9), task(late=True, soft=5)], {"own_limit": 9, "late_own_limit": 5}),
        ([task(late=True, hard=7, soft=5)], {"late_own_limit": 7, "late_without_own_limit": False}),
    ],
)
def test_the_longest_time_limits_are_found(tasks, expected):
    found = dict(facts_program.of_time_limits(tasks, CONF))
    assert found["limit"] == 60
    assert found.items() >= expected.items()


@pytest.mark.parametrize(
    ("limit", "seconds"), [(None, 0), (0, 0), (1.2, 2), (-5, 0), ("soon", 0), (timedelta(1), 0), (float("inf"), 0)]
)
def test_a_limit_that_is_none_to_celery_is_none(limit, seconds):
    assert facts_program.seconds(limit) == seconds


@pytest.mark.parametrize(
    ("parameters", "same"),
    [
        ({"host": "127.0.0.1", "port": 6379, "db": 0}, True),
        ({"host": "localhost"}, True),
        ({"host": "localhost", "port": "6379", "db": "0"}, True),
        ({"host": "localhost", "db": 1}, False),
        ({"host": "redis.example", "db": 0}, False),
        ({"path": "/run/redis/redis.sock", "db": 0}, False),
        ({}, False),
    ],
)
def test_two_connections_to_one_database_are_recognised(parameters, same):
    assert (facts_program.place(parameters) == facts_program.place({"host": "127.0.0.1"})) is same


def section(facts, error=None):
    def tell(_request, _app):
        yield from facts.items()
        if error:
            raise error

    return tell


@pytest.fixture
def told(monkeypatch):
    """What is told if these are the sections."""

    def tell(has_broker=True, **sections):
        broker = ModuleType("evenkeel_broker")
        broker.SECTIONS = {}
        monkeypatch.setitem(sys.modules, "evenkeel_broker", broker)
        monkeypatch.setattr(facts_program, "SECTIONS", {})
        monkeypatch.setattr(facts_program, "OF_BROKER", sections)
        said = {}
        facts_program.tell({"has_broker": has_broker}, None, said.__setitem__)
        return said

    return tell


def test_a_section_that_fails_tells_what_it_knew_and_does_not_hinder_others(told):
    assert told(a=section({"x": 1}, ValueError()), b=section({"y": 2})) == {"a": {"x": 1}, "b": {"y": 2}}


def test_a_section_that_is_too_long_is_left_out(told):
    assert told(a=section({"x": "x" * 70_000}), b=section({"y": 2})) == {"b": {"y": 2}}


def test_a_fact_that_json_does_not_know_is_not_told(told):
    assert told(a=section({"x": object()}), b=section({"y": 2})) == {"a": {}, "b": {"y": 2}}


def test_a_broker_that_has_not_answered_is_not_asked(told):
    assert told(has_broker=False, a=section({"x": 1})) == {}


class Redis:
    def __init__(self, **info):
        self.info = lambda: info
        self.time = lambda: (1_700_000_000, 0)


def test_a_server_that_tells_less_makes_less_known():
    assert dict(facts_program.server(Redis(redis_version="7.0.0", aof_last_write_status="err"))) == {
        "version": "7.0.0",
        "failed_to_save": True,
    }


def test_the_clock_of_the_server_is_told_as_an_interval():
    low, high = dict(facts_program.clock(Redis()))["clock"]
    assert low <= high < 0  # 2023 is behind today


def test_the_programs_sections_are_those_that_are_read():
    sections = {**facts_program.SECTIONS, **facts_program.OF_BROKER, **programs.broker_program.SECTIONS}
    assert {*sections, "service"} == set(FORMS)
