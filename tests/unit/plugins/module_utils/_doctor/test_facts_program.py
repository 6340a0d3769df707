"""What is told of an application, its tasks and its Redis. Live, the scenario doctor sees it."""

import sys
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor import facts_program, programs
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.facts import FORMS


def task(name="shop.add", late=False, requeued=False, hard=None, soft=None, **of_celery_5_7):
    return SimpleNamespace(
        name=name,
        acks_late=late,
        reject_on_worker_lost=requeued,
        time_limit=hard,
        soft_time_limit=soft,
        max_retries=of_celery_5_7.pop("max_retries", 3),
        **of_celery_5_7,
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


def test_tasks_that_are_retried_if_their_process_is_lost_are_counted_only_if_that_never_ends():
    retried = {"retry_on_worker_lost": True}
    tasks = [
        task("a", late=True, **retried),
        task("b", late=True, requeued=True, **retried),
        task("c", **retried, max_retries=None),
        task("d", late=True, retry_on_worker_lost=False),
    ]
    assert dict(facts_program.of_tasks(tasks, CONF)).items() >= {"late": 2, "requeued": 1, "late_requeued": 1}.items()


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


def url_options(location):
    """As redis.connection.parse_url has it."""
    url = urlsplit(location)
    if url.scheme not in ("redis", "unix"):
        raise ValueError
    number = url.path[1:] if url.scheme == "redis" else parse_qs(url.query).get("db", [""])[0]
    at = {"host": url.hostname} if url.scheme == "redis" else {"path": url.path}
    return {**at, **({"port": url.port} if url.port else {}), **({"db": int(number)} if number.isdigit() else {})}


@pytest.mark.parametrize(
    ("cache", "databases"),
    [
        ({"LOCATION": "redis://127.0.0.1:6379/2"}, [2]),
        ({"LOCATION": "redis://127.0.0.1:6379"}, [0]),
        ({"LOCATION": "redis://127.0.0.1:6379", "OPTIONS": {"db": "10", "pool_class": "x"}}, [10]),
        ({"LOCATION": "redis://127.0.0.1:6379/2", "OPTIONS": {"db": "10"}}, [2]),
        ({"LOCATION": "redis://127.0.0.1", "OPTIONS": {"CONNECTION_POOL_KWARGS": {"db": 3}}}, [3]),
        ({"LOCATION": "redis://127.0.0.1/4,redis://replica:6380/5"}, [4, 5]),
        ({"LOCATION": ["redis://127.0.0.1/4", "redis://replica/4"]}, [4, 4]),
        ({"LOCATION": "unix:///run/redis.sock?db=6", "OPTIONS": None}, [6]),
        ({"LOCATION": "127.0.0.1:11211"}, []),
        ({}, []),
    ],
)
def test_djangos_caches_are_found_in_their_databases(monkeypatch, cache, databases):
    settings = SimpleNamespace(configured=True, CACHES={"default": cache})
    monkeypatch.setitem(sys.modules, "django.conf", SimpleNamespace(settings=settings))
    monkeypatch.setitem(sys.modules, "redis", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "redis.connection", SimpleNamespace(parse_url=url_options))
    assert [(alias, there[1]) for alias, there in facts_program.django_caches()] == [
        ("default", number) for number in databases
    ]


def app_of(kind, options=(), **conf):
    channel = SimpleNamespace(visibility_timeout=3600, default_visibility_timeout=1800)
    transport = SimpleNamespace(driver_type=kind, Channel=channel)
    connection = SimpleNamespace(transport=transport, transport_options=dict(options))
    return SimpleNamespace(connection_for_read=lambda: connection, conf=conf)


@pytest.mark.parametrize(
    ("app", "facts"),
    [
        (app_of("redis"), {"visibility_timeout": 3600, "disable_prefetch": False}),
        (
            app_of("redis", {"visibility_timeout": 60}, worker_disable_prefetch=True),
            {"visibility_timeout": 60, "disable_prefetch": True},
        ),
        (app_of("sqs", {"visibility_timeout": 60}), {}),  # its queues may have another
        (app_of("amqp", worker_disable_prefetch=True), {}),  # without effect there
    ],
)
def test_what_counts_on_the_broker_is_told(app, facts):
    assert dict(facts_program.of_broker(app)) == {"transport": app.connection_for_read().transport.driver_type, **facts}


def test_values_of_celery_are_nobody_elses_whichever_application_wrote_them(monkeypatch):
    names = [
        *("celery-task-meta-1", "forge_celery-task-meta-1", "forge:celery-taskset-meta-1.t", "chord-unlock-1"),
        *("forge_chord-unlock-1", "forge_unacked_mutex", "forge__kombu.binding.celery", "redbeat::lock", "made-1"),
        *("set-of-1", "ended-1", ":1:views.cache.page", "session"),
    ]
    scan = SimpleNamespace(
        scan=lambda _cursor, count: (0, [name.encode() for name in names]),
        pipeline=lambda transaction: Pipeline(),
    )
    monkeypatch.setitem(sys.modules, "redis", SimpleNamespace(Redis=lambda connection_pool: scan))
    backend = SimpleNamespace(task_keyprefix=b"made-", group_keyprefix=b"set-of-", chord_keyprefix=b"ended-")
    channel = SimpleNamespace(pool=None)
    assert dict(facts_program.keys(SimpleNamespace(backend=backend), channel, None)) == {"others": 2}


class Pipeline:
    def __init__(self):
        self.asked = 0

    def type(self, _key):
        self.asked += 1

    def execute(self):
        return [b"string"] * self.asked


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
