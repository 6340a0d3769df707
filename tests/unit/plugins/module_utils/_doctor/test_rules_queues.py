"""What the doctor says of messages that wait."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.facts import NOTHING_KNOWN
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.findings import Service
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.rules import queues


def said(check, **facts):
    return [trap.why for trap in check(Service({"name": "shop"}, {**NOTHING_KNOWN, **facts}))]


def eta(seconds, transport="redis", visible=3600):
    return said(
        queues.eta_beyond_visibility,
        settings={"transport": transport, "visibility_timeout": visible},
        etas={"longest": {"seconds": seconds, "task": "shop.remind", "queue": "mail"}},
    )


def test_an_eta_after_the_visibility_timeout_is_said():
    (why,) = eta(9000)
    assert why.startswith("Task shop.remind in queue mail waits 2h 30min in a worker for its ETA. After visib")


def test_an_eta_before_it_or_without_one_is_not():
    assert not eta(3600)
    assert not eta(9000, "amqp")
    assert not eta(9000, visible=None)
    assert not said(queues.eta_beyond_visibility, settings={"transport": "redis", "visibility_timeout": 3600})


def reply(name, **about):
    return {
        "name": name, "count": 1, "queues": ["celery"], "ours": True, "processes": 1, "active": 0, "reserved": 0,
        "longest": 0, **about,
    }  # fmt: skip


BUSY = {"active": 1, "reserved": 3, "longest": 90}


def behind(busy, idle):
    replies = [reply("w1", **busy), reply("w2", **idle)]
    return said(queues.tasks_behind_a_long_one, service={"node": "w1"}, workers={"workers": replies})


def test_tasks_that_wait_behind_a_long_one_while_another_worker_is_idle_are_said():
    (why,) = behind(BUSY, {})
    assert why.startswith("3 tasks wait in this worker behind one that has been active for 1min 30s, while w2, which")


@pytest.mark.parametrize(
    ("busy", "idle"),
    [
        ({**BUSY, "longest": 59}, {}),
        ({**BUSY, "reserved": 0}, {}),
        ({**BUSY, "count": 2}, {}),
        (BUSY, {"active": 1}),
        (BUSY, {"reserved": 1}),
        (BUSY, {"queues": ["mail"]}),
        (BUSY, {"ours": False}),
    ],
)
def test_tasks_that_no_other_worker_could_execute_now_are_not(busy, idle):
    assert not behind(busy, idle)
