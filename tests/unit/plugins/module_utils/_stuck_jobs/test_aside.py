"""Other work while the disk or the database is busy."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.aside import Aside, beside


def nothing_left():
    return False


def test_other_work_is_done_until_the_call_ends():
    enough, parts = threading.Event(), []

    def work():
        parts.append(threading.current_thread())
        if len(parts) == 3:
            enough.set()
        return True

    assert beside(lambda: enough.wait(60), work)
    assert set(parts) == {threading.current_thread()}


def test_the_result_is_waited_for_when_no_other_work_is_left():
    assert beside(lambda: threading.Event().wait(0.01) or "result", nothing_left) == "result"


def test_without_other_work_there_is_no_thread():
    assert beside(threading.current_thread, None) is threading.current_thread()


@pytest.mark.parametrize("meanwhile", [None, nothing_left])
def test_an_error_of_the_call_is_raised(meanwhile):
    with pytest.raises(ZeroDivisionError):
        beside(lambda: 1 / 0, meanwhile)


def test_an_interrupt_leaves_nothing_running():
    interrupted, has_ended = threading.Event(), []

    def call():
        interrupted.wait(60)
        has_ended.append(True)

    def interrupt():
        interrupted.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        beside(call, interrupt)
    assert has_ended


def test_it_is_done_at_once_if_no_thread_can_be_started(monkeypatch):
    def fail(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    aside = Aside(threading.current_thread)
    assert aside.has_ended(0)
    assert aside.result() is threading.current_thread()
    assert beside(threading.current_thread, nothing_left) is threading.current_thread()
