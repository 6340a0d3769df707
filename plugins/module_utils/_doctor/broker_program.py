# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells what waits in an application's broker, and which workers answer. See facts_program.py, which calls it.

Redis tells all queues and some of their messages, RabbitMQ the queues that the application names. Other brokers are not
asked: SQS, for example, can't show a message without handing it out. No task is consumed or sent; workers are asked by
Celery's remote control, as `celery inspect` does.

Works with Python 3.9 and Celery 5.2, and later ones.
"""

import contextlib
import importlib
import ipaddress
import json
import math
import time
from collections import Counter
from datetime import datetime
from itertools import chain
from pathlib import Path

SECONDS = 4  # for the broker to answer
WORKERS_SECONDS = 3.0  # for the workers to answer
MOST = 200  # queues, and workers; of more, none are told
MOST_SCANS = 50  # of 1000 keys each
MOST_MESSAGES = 500  # of each end of a queue, and of those that workers have received
STEP = 10  # messages that are read at once
MOST_BYTES = 500_000  # of messages of each end of a queue, after which no further one is read
ROOM = 10_000_000  # of all messages
READING = 2.0  # seconds for all messages to be read
MOST_CLIENTS = 2000  # of Redis; of more, none are listed
YOUNG = 30  # seconds
LONGEST = 65_536  # bytes of a message that is read


class TooMany(Exception):
    """More than are told."""


@contextlib.contextmanager
def connected(app):
    options = {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
    with app.connection_for_read(connect_timeout=SECONDS, transport_options=options) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=SECONDS)
        yield connection


def bounded(found):
    if len(found) > MOST:
        raise TooMany
    return found


# --- Queues -----------------------------------------------------------------------------------------------------------


def queues(_request, app):
    with connected(app) as connection:
        kind = connection.transport.driver_type
        if kind == "redis":
            redis = Redis(app, connection)
            yield "broker", redis.identity()
            yield "queues", list(redis.lengths())
        elif kind == "amqp":
            with contextlib.suppress(Exception):  # better no name than one that two of them have
                yield "broker", rabbitmq(connection)
            yield "queues", list(declared(connection, named(app)))


def rabbitmq(connection):
    """Which one it is. RabbitMQ on two hosts may have one name, as when both come from one compose file."""
    amqp = connection.connection
    identity = f"{amqp.server_properties['cluster_name']} {connection.virtual_host}"
    own, other = amqp.transport.sock.getsockname()[0], amqp.transport.sock.getpeername()[0]
    here = other == own or ipaddress.ip_address(other).is_loopback
    return f"{identity} {this_host()}" if here else identity


def this_host():
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def named(app):
    """The queues that the application itself names: it consumes them, declares them, or routes a task to them."""
    names = {app.conf.task_default_queue, *app.amqp.queues}
    for task in app.tasks:
        with contextlib.suppress(Exception):  # a router of the application's may need the arguments of a task
            queue = app.amqp.router.route({}, task).get("queue")
            names.add(getattr(queue, "name", queue))
    return bounded({str(name) for name in names if name})


def declared(connection, names):
    """RabbitMQ's own numbers. To declare a queue passively is to ask for it."""
    for name in sorted(names):
        channel = connection.channel()  # one for each, as an error closes it
        try:
            there = channel.queue_declare(name, passive=True)
            yield {"name": name, "messages": there.message_count, "consumers": there.consumer_count}
            channel.close()
        except connection.channel_errors:
            pass  # the queue does not exist, or belongs to another connection


class Redis:
    """Celery's keys, as kombu/transport/redis.py has them."""

    def __init__(self, app, connection):
        self._app, self._channel = app, connection.default_channel
        # kombu's own client adds the prefix to the keys of some commands, and not of others.
        self._client = importlib.import_module("redis").Redis(connection_pool=self._channel.pool)
        self._database = str(self._client.connection_pool.connection_kwargs.get("db", 0))
        self._room, self._until = ROOM, time.monotonic() + READING

    def identity(self):
        """Of this run of the server, and what of it this application uses."""
        return f"{self._client.info('server')['run_id']} {self._database} {self._channel.global_keyprefix}".strip()

    def _key(self, name):
        return f"{self._channel.global_keyprefix}{name}"

    def lengths(self):
        for queue in sorted(self.queues()):
            yield {"name": queue, "messages": sum(map(self._client.llen, self._lists(queue))), "consumers": None}

    def _lists(self, queue):
        """The keys of a queue, one for each step of priority."""
        steps = self._channel.priority_steps
        return [self._key(f"{queue}{self._channel.sep}{step}" if step else queue) for step in steps]

    def queues(self):
        """Those in the database, whoever uses them, and those that the application names."""
        exchanges, cursor, tables = set(), 0, self._key(self._channel.keyprefix_queue % "")
        pattern = "".join(f"\\{each}" if each in "*?[]\\" else each for each in tables) + "*"
        for _at_most in range(MOST_SCANS):
            cursor, keys = self._client.scan(cursor, match=pattern, count=1000)
            exchanges |= {text(key)[len(tables) :] for key in keys}
            if not cursor:
                break
        found = named(self._app)
        # Others carry events and remote control, and no tasks.
        exchanges = {each for each in exchanges if not each.endswith(".pidbox")} - {self._app.conf.event_exchange}
        for exchange in bounded(exchanges):
            found = bounded(found | self._bound(exchange))
        return found

    def _bound(self, exchange):
        """The queues of an exchange."""
        key = self._key(self._channel.keyprefix_queue % exchange)
        if self._client.scard(key) > MOST:
            raise TooMany
        return {text(member).split(self._channel.sep)[-1] for member in self._client.smembers(key)}

    # --- The messages -------------------------------------------------------------------------------------------------

    def received(self):
        """Messages that workers have received and not acknowledged yet, each with when it was."""
        tags = self._client.zrange(self._key(self._channel.unacked_index_key), 0, MOST_MESSAGES - 1, withscores=True)
        key = self._key(self._channel.unacked_key)
        for tag, when in tags:
            if self._is_spent():
                break
            if self._client.hstrlen(key, tag) <= LONGEST:
                with contextlib.suppress(ValueError, TypeError, IndexError, RecursionError):
                    yield json.loads(self._counted(self._client.hget(key, tag)))[0], when

    def waiting(self, queue):
        """Messages of both ends of a queue."""
        for key in self._lists(queue):
            count = self._client.llen(key)
            # Redis tells the size of the first ones only, without a search through all.
            if count and (self._client.memory_usage(key, samples=MOST_MESSAGES) or 0) / count <= LONGEST:
                most = min(MOST_MESSAGES, math.ceil(count / 2))
                yield from self._end(most, lambda first, last, key=key: self._client.lrange(key, first, last))
                yield from self._end(most, lambda first, last, key=key: self._client.lrange(key, -last - 1, -first - 1))

    def _end(self, most, read):
        """At most so many messages, from the outermost one on. How large one is is not known before it is read."""
        done, sizes = 0, [1]
        while done < most and sum(sizes) < MOST_BYTES and not self._is_spent():
            # One first; and as many as there is room for, if they are as large as the largest one.
            some = min(STEP, most - done, max(1, done), max(1, (MOST_BYTES - sum(sizes)) // max(sizes)))
            found = read(done, done + some - 1)
            if not found:
                break
            done += len(found)
            for message in found:
                sizes.append(len(self._counted(message)))
                with contextlib.suppress(ValueError, RecursionError):
                    yield json.loads(message)

    def _is_spent(self):
        return self._room <= 0 or time.monotonic() > self._until

    def _counted(self, message):
        self._room -= len(message)
        return message

    # --- The clients --------------------------------------------------------------------------------------------------

    def mailboxes(self):
        """The workers that have a mailbox for remote control, although they may have died since."""
        namespace = self._app.conf.control_exchange
        ending = f".{namespace}.pidbox"
        return {queue[: -len(ending)] for queue in self._bound(f"{namespace}.pidbox") if queue.endswith(ending)}

    def listening(self):
        """How many connections wait for messages of the database, and have not just begun to, as those who ask have."""
        if self._client.info("clients")["connected_clients"] > MOST_CLIENTS:
            raise TooMany
        return sum(
            client["cmd"] == "brpop" and client["db"] == self._database and int(client["age"]) > YOUNG
            for client in self._client.client_list()
        )


def text(value):
    return value.decode(errors="replace")


# --- Messages that must wait ------------------------------------------------------------------------------------------


def etas(_request, app):
    """Of the messages that were seen, the one whose ETA is the longest after a worker received it, or could do so."""
    with connected(app) as connection:
        if connection.transport.driver_type != "redis":
            return
        redis, longest = Redis(app, connection), None
        for message, since in in_order(redis):
            with contextlib.suppress(Exception):  # somebody else's message
                headers = message["headers"]
                seconds = math.floor(moment(headers["eta"]) - since)
                if not longest or seconds > longest["seconds"]:
                    queue = message["properties"]["delivery_info"]["routing_key"]
                    longest = {"seconds": seconds, "task": str(headers["task"]), "queue": str(queue)}
        if longest and longest["seconds"] > 0:
            yield "longest", longest


def in_order(redis):
    yield from redis.received()
    now = time.time()
    for queue in redis.queues():
        for message in redis.waiting(queue):
            yield message, now


def moment(eta):
    """Seconds since 1970."""
    found = datetime.fromisoformat(eta.replace("Z", "+00:00"))
    if not found.tzinfo:
        raise ValueError("it is of a time zone that the message does not name")
    return found.timestamp()


# --- The workers ------------------------------------------------------------------------------------------------------


def workers(request, app):
    """Those that answer, whoever's they are, and what is known of others that don't."""
    if not request["ask_workers"]:
        return
    mailboxes = ()
    with connected(app) as connection:
        if connection.transport.driver_type == "redis":
            redis = Redis(app, connection)
            mailboxes = redis.mailboxes()
            with contextlib.suppress(TooMany):
                yield "listening", redis.listening()
            if not mailboxes:  # nobody can answer
                yield "workers", []
                return
    found = importlib.import_module("evenkeel_celery_helper").Workers(app, [], WORKERS_SECONDS)
    found.find()
    answers = {question: found.ask(question, kind) for question, kind in QUESTIONS.items()}
    nodes = Counter(node for node, _reply in answers["stats"])
    yield "workers", [about(app, node, count, answers) for node, count in sorted(bounded(nodes).items())]
    yield "silent", sorted(set(mailboxes) - set(nodes))


QUESTIONS = {"stats": dict, "active_queues": list, "registered": list, "active": list, "reserved": list}


def about(app, node, count, answers):
    """What the workers of one name say; of several, all together."""
    of = {question: [reply for name, reply in replies if name == node] for question, replies in answers.items()}
    queues, registered, active, reserved = (list(chain(*of[question])) for question in list(QUESTIONS)[1:])
    own = {task for task in app.tasks if not task.startswith("celery.")}
    began = [task["time_start"] for task in active if task.get("time_start")]
    return {
        "name": node,
        "count": count,
        "queues": sorted({str(queue["name"]) for queue in queues})[:MOST],
        "ours": bool(own & {task.split(" [")[0] for task in registered}),
        "uptime": min(reply.get("uptime", 0) for reply in of["stats"]),
        "received": sum(sum(reply.get("total", {}).values()) for reply in of["stats"]),
        "processes": sum(reply.get("pool", {}).get("max-concurrency") or 0 for reply in of["stats"]),
        "active": len(active),
        "reserved": len(reserved),
        "longest": max(0, math.floor(time.time() - min(began))) if began else 0,
    }


SECTIONS = {"queues": queues, "etas": etas, "workers": workers}
