"""What is told of queues, waiting messages and workers (with real brokers: molecule/doctor)."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor import broker_program
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import celery_helper

SEP = "\x06\x16"
NOW = datetime(2026, 1, 18, 12, tzinfo=timezone.utc)


def message(seconds=None, task="shop.make", queue="celery", zone=timezone.utc):
    """A message that is due in so many seconds."""
    eta = seconds and (NOW.astimezone(zone) + timedelta(seconds=seconds)).isoformat()
    return {"headers": {"task": task, "eta": eta}, "properties": {"delivery_info": {"routing_key": queue}}}


class Redis:
    """A database: lists, and what scan, unacked and client_list tell."""

    def __init__(self, lists=(), bound=(), received=(), clients=(), average=100):
        self.lists, self.bound, self.clients, self.average = dict(lists), dict(bound), clients, average
        self.unacked = {f"tag-{number}".encode(): each for number, each in enumerate(received)}
        self.connection_pool = SimpleNamespace(connection_kwargs={"db": 1})
        self.read = 0  # messages

    def info(self, section):
        return {"server": {"run_id": "4f2a"}}[section]

    def scan(self, cursor, match, count):
        tables = [f"_kombu.binding.{exchange}".encode() for exchange in self.bound]
        assert match == "_kombu.binding.*"
        return (cursor + 1) % 2, tables[cursor::2]

    def smembers(self, key):
        return {f"{SEP}{SEP}{queue}".encode() for queue in self.bound.get(key[len("_kombu.binding.") :], ())}

    def scard(self, key):
        return len(self.smembers(key))

    def llen(self, key):
        return len(self.lists.get(key, ()))

    def lrange(self, key, first, last):
        found = self.lists[key][first:] if last == -1 else self.lists[key][first : last + 1]
        self.read += len(found)
        return [each if isinstance(each, bytes) else json.dumps(each).encode() for each in found]

    def memory_usage(self, key):
        return self.average * self.llen(key)

    def zrange(self, _key, _first, last, withscores):
        assert withscores
        return [(tag, when) for tag, (when, _message) in self.unacked.items()][: last + 1]

    def hget(self, _key, tag):
        return json.dumps([self.unacked[tag][1], "", "celery"]).encode()

    def hstrlen(self, key, tag):
        return len(self.hget(key, tag))

    def client_list(self):
        return self.clients


class Channel:
    sep, priority_steps, global_keyprefix, pool = SEP, (0, 3), "", None
    keyprefix_queue, unacked_key, unacked_index_key = "_kombu.binding.%s", "unacked", "unacked_index"


class App:
    """kind: of the broker. there: what RabbitMQ has, messages and consumers by a queue's name."""

    def __init__(self, kind="redis", routes=(), there=(), answers=()):
        self.conf = SimpleNamespace(task_default_queue="celery", control_exchange="celery", event_exchange="celeryev")
        self.tasks = {"celery.chord": None, "shop.make": None, **dict.fromkeys(dict(routes))}
        self.amqp = SimpleNamespace(queues={"celery": None}, router=self)
        self.connection, self.virtual_host = SimpleNamespace(server_properties={"cluster_name": "rabbit@mq1"}), "shop"
        self.control, self.channel_errors, self.default_channel = self, (LookupError,), Channel()
        self.transport = SimpleNamespace(driver_type=kind)
        self.routes, self.there, self.answers = dict(routes), dict(there), dict(answers)

    def route(self, _options, task):
        return {"queue": SimpleNamespace(name=self.routes[task])}

    @contextmanager
    def connection_for_read(self, **_options):
        yield self

    def ensure_connection(self, **_options):
        pass

    def channel(self):
        return self

    def close(self):
        pass

    def queue_declare(self, name, passive):
        assert passive
        messages, consumers = self.there[name]
        return SimpleNamespace(message_count=messages, consumer_count=consumers)

    def broadcast(self, question, *, destination, **_options):
        return [
            {node: reply[question]} for node, reply in self.answers.items() if not destination or node in destination
        ]


@pytest.fixture
def tell(monkeypatch):
    """What a section tells."""

    def told(section, app, redis=None, asks=True):
        monkeypatch.setitem(sys.modules, "redis", SimpleNamespace(Redis=lambda connection_pool: redis))
        monkeypatch.setitem(sys.modules, "evenkeel_celery_helper", celery_helper)  # its name beside the program
        return dict(broker_program.SECTIONS[section]({"ask_workers": asks}, app))

    return told


def test_redis_tells_all_queues_and_their_messages_of_each_priority(tell):
    redis = Redis(
        lists={"celery": [message()], "mail": [message(), message()], f"mail{SEP}3": [message()]},
        bound={
            "celery": ["celery"],
            "mail": ["mail"],
            "celeryev": ["celeryev.1"],
            "celery.pidbox": ["w.celery.pidbox"],
        },
    )
    told = tell("queues", App(routes={"shop.resize": "images"}), redis)
    assert told["broker"] == "4f2a 1"
    assert told["queues"] == [
        {"name": "celery", "messages": 1, "consumers": None},
        {"name": "images", "messages": 0, "consumers": None},
        {"name": "mail", "messages": 3, "consumers": None},
    ]


def test_rabbitmq_tells_the_queues_that_the_application_names_and_their_consumers(tell):
    app = App("amqp", routes={"shop.resize": "images", "shop.mail": "mail"}, there={"celery": (0, 2), "mail": (7, 0)})
    told = tell("queues", app)
    assert told["broker"] == "rabbit@mq1 shop"
    assert told["queues"] == [
        {"name": "celery", "messages": 0, "consumers": 2},
        {"name": "mail", "messages": 7, "consumers": 0},
    ]


@pytest.mark.parametrize("section", ["queues", "etas"])
def test_other_brokers_are_not_asked(tell, section):
    assert not tell(section, App("sqs"))


@pytest.mark.parametrize(
    "bound", [{"shop": range(broker_program.MOST + 1)}, {f"{each}": [each] for each in range(999)}]
)
def test_too_many_queues_are_not_told(tell, bound):
    with pytest.raises(broker_program.TooMany):
        tell("queues", App(), Redis(bound=bound))


# --- Messages that must wait ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waiting", "received", "seconds"),
    [
        ([message(600), message(7200), message()], [], 7200),
        ([message(600)], [(3600, message(7200))], 7200 + 3600),
        ([message(7200, zone=timezone(timedelta(hours=9)))], [], 7200),
        ([b"not JSON", b"[]", {"headers": None}, {"headers": {"eta": "soon"}}, message(60)], [], 60),
    ],
)
def test_the_longest_eta_is_that_after_which_a_worker_received_it_or_could(
    tell, waiting, received, seconds, monkeypatch
):
    monkeypatch.setattr(broker_program.time, "time", NOW.timestamp)
    received = [(NOW.timestamp() - ago, each) for ago, each in received]
    longest = tell("etas", App(), Redis(lists={"celery": waiting}, received=received))["longest"]
    assert longest["seconds"] == seconds
    assert (longest["task"], longest["queue"]) == ("shop.make", "celery")


def test_nothing_is_told_without_an_eta_in_the_future_or_with_one_of_an_unknown_zone(tell):
    assert not tell("etas", App(), Redis(lists={"celery": [message(), message(-60), message(7200, zone=None)]}))


def test_of_long_queues_both_ends_are_read_and_of_large_messages_few(tell):
    many = [message(60), *[message()] * 5000, message(7200)]
    redis = Redis(lists={"celery": many})
    assert tell("etas", App(), redis)["longest"]["seconds"] > 7000
    assert redis.read <= 2 * broker_program.MOST_MESSAGES
    redis = Redis(lists={"celery": many}, average=1_000_000)
    tell("etas", App(), redis)
    assert redis.read <= 2 * broker_program.MOST_BYTES / 1_000_000
    redis = Redis(lists={"celery": many}, average=10 * broker_program.MOST_BYTES)
    tell("etas", App(), redis)
    assert not redis.read


def test_a_large_message_that_a_worker_received_is_not_read(tell):
    large = {**message(7200), "body": "x" * broker_program.LONGEST}
    assert not tell("etas", App(), Redis(received=[(time.time(), large)]))


# --- Workers ----------------------------------------------------------------------------------------------------------


def reply(queues=("celery",), registered=("shop.make",), active=(), **stats):
    return {
        "stats": {"pid": 1, "uptime": 90, "total": {}, "pool": {"max-concurrency": 4}, **stats},
        "active_queues": [{"name": queue} for queue in queues],
        "registered": list(registered),
        "active": [{"id": "1", "time_start": time.time() - ago} for ago in active],
        "reserved": [],
    }


def test_workers_tell_what_they_consume_and_do(tell):
    app = App(
        answers={
            "w1": reply(["mail", "celery"], total={"shop.make": 3, "shop.mail": 1}, active=[100, 10]),
            "w2": reply(registered=["forge.make"]),
        }
    )
    told = tell("workers", app, Redis(bound={"celery.pidbox": ["w1.celery.pidbox", "w3.celery.pidbox"]}))
    assert told["silent"] == ["w3"]
    first, second = told["workers"]
    assert first == {
        "name": "w1", "count": 1, "queues": ["celery", "mail"], "ours": True, "uptime": 90, "received": 4,
        "processes": 4, "active": 2, "reserved": 0, "longest": first["longest"],
    }  # fmt: skip
    assert first["longest"] >= 100
    assert (second["name"], second["ours"], second["longest"]) == ("w2", False, 0)


def test_without_mailboxes_nobody_can_answer_and_nobody_is_asked(tell):
    assert tell("workers", App(), Redis())["workers"] == []


def test_connections_that_have_waited_for_a_while_are_counted(tell):
    clients = [
        {"cmd": "brpop", "db": "1", "age": "90"},
        {"cmd": "brpop", "db": "1", "age": "3"},  # for the answers of workers
        {"cmd": "brpop", "db": "0", "age": "90"},
        {"cmd": "get", "db": "1", "age": "90"},
    ]
    assert tell("workers", App(), Redis(clients=clients))["listening"] == 1


def test_unsure_answers_are_no_answers(tell):
    app = App(answers={"w1": {**reply(), "active": {"error": "no"}}})
    with pytest.raises(celery_helper.Unsure):
        tell("workers", app, Redis(bound={"celery.pidbox": ["w1.celery.pidbox"]}))


def test_workers_are_asked_only_on_request(tell):
    assert not tell("workers", App(), asks=False)
