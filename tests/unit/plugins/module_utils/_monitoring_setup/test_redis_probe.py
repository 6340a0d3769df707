"""Redis is asked what the exporter will ask, and never waited for without a bound."""

from __future__ import annotations

import socket
import threading

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup import redis_probe
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.redis_url import Redis

PASSWORD = "s3cret"


@pytest.fixture
def server():
    """A server that gives these answers, and what it was sent."""
    received = []

    def start(*answers):
        listening = socket.create_server(("127.0.0.1", 0))

        def serve():
            with listening, listening.accept()[0] as client:
                for answer in answers:
                    received.append(client.recv(9999))
                    client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        threads.append(thread)
        return listening.getsockname()[1], received

    threads = []
    yield start
    for thread in threads:
        thread.join()


def test_it_logs_in_and_runs_the_script(server):
    port, received = server(b"+OK\r\n", b"*0\r\n")
    assert redis_probe.errors(Redis("127.0.0.1", port, user="app", password=PASSWORD), b"return {}") == []
    assert received == [
        b"*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$6\r\ns3cret\r\n",
        b"*3\r\n$4\r\nEVAL\r\n$9\r\nreturn {}\r\n$1\r\n0\r\n",
    ]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            [b"-WRONGPASS invalid pair or user is disabled.\r\n"],
            "count its queues: WRONGPASS invalid pair or user is disabled. ",
        ),
        ([b"+OK\r\n", b"-NOPERM no permissions to run the 'eval' command\r\n"], "NOPERM"),
        ([b"-\x1b[2J" + b"x" * 9999], "\\x1b[2Jxxx"),
        ([b""], "has closed the connection"),
    ],
)
def test_a_refusal_is_an_error(server, answers, words):
    port, _received = server(*answers)
    (error,) = redis_probe.errors(Redis("127.0.0.1", port, password=PASSWORD), b"return {}")
    assert words in error
    assert PASSWORD not in error


def test_a_server_that_is_down_is_named():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    (error,) = redis_probe.errors(Redis("127.0.0.1", port), b"")
    assert error.startswith(f"Redis at 127.0.0.1:{port} does not answer: ")


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(redis_probe, "SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (error,) = redis_probe.errors(Redis("127.0.0.1", silent.getsockname()[1]), b"")
    assert "does not answer" in error
