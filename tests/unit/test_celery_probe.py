"""Which Python runs the command that an operator names, and what the probe's answers mean."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_probe import interpreter, remarks
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
    ("settings", "of_the_application", "remarked"),
    [
        ({}, True, 1),
        ({}, False, 0),
        ({"task_reject_on_worker_lost": True}, False, 1),
        ({"task_reject_on_worker_lost": False}, True, 0),
    ],
)
def test_tasks_that_all_come_back_are_remarked_on(settings, of_the_application, remarked):
    found = list(remarks(worker(settings=settings), {"requeues": of_the_application}))
    assert [remark.split()[0] for remark in found] == ["task_reject_on_worker_lost"] * remarked
