"""The interpreter of an executable, and what the probe's answers mean."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight.probe import interpreter, question, warnings
from workers import worker


@pytest.mark.parametrize(
    ("head", "python"),
    [
        ("#!/srv/venv/bin/python3\n", "/srv/venv/bin/python3"),
        ("#! /usr/bin/python3 -sP\n", "/usr/bin/python3"),
        ("#!/bin/sh\n'''exec' /srv/long/venv/bin/python \"$0\" \"$@\"\n' '''\n", "/srv/long/venv/bin/python"),
        ("#!/bin/sh\n'''exec' \"/srv/a b/bin/python3\" \"$0\" \"$@\"\n' '''\n", "/srv/a b/bin/python3"),
        ("#!/usr/bin/env python3\n", None),
        ("#!/bin/sh\nexec docker run shop celery\n", None),
        ("\x7fELF\x02", None),
    ],
)
def test_the_interpreter_of_a_console_script(tmp_path, head, python):
    script = tmp_path / "celery"
    script.write_text(head, encoding="latin-1")
    assert interpreter(str(script)) == python


@pytest.mark.parametrize(
    ("settings", "of_the_application", "warned"),
    [
        ({}, True, 1),
        ({}, False, 0),
        ({"task_reject_on_worker_lost": True}, False, 1),
        ({"task_reject_on_worker_lost": False}, True, 0),
    ],
)
def test_task_reject_on_worker_lost_for_all_tasks_gets_a_warning(settings, of_the_application, warned):
    found = list(warnings(worker(settings=settings), {"requeues": of_the_application}))
    assert [warning.split()[0] for warning in found] == ["task_reject_on_worker_lost"] * warned


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({"name": "other", "queues": ["other"], "concurrency": 4, "memory_max": "1G"}, True),
        ({"settings": {"task_acks_late": False}}, True),
        ({"settings": {"task_acks_lat": True}}, False),
        ({"environment": {"CELERY_BROKER_URL": "redis://other"}}, False),
        ({"user": "other"}, False),
        ({"pool": "threads"}, False),
        ({"app": "other"}, False),
    ],
)
def test_workers_for_which_the_probe_would_find_the_same_share_one_answer(options, same):
    first = worker(settings={"task_acks_late": True})
    assert (question({**first, **options}) == question(first)) is same
