"""What is known from the workers' replies, and when it is not enough (with real workers: molecule/job_cleanup)."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import celery_helper

OWN, OTHER = "shop.make", "forge.make [rate_limit=1/m]"


def worker(name, *active, pid=1, **answers):
    """A worker that executes tasks of these ids."""
    return name, {
        "stats": {"pid": pid},
        "registered": [OWN],
        "scheduled": [],
        "reserved": [],
        "active": [{"id": task, "args": [f"job-{task}"], "kwargs": {}} for task in active],
        **answers,
    }


class App:
    """An application whose workers answer, each time in another order.

    shares_mailboxes: on RabbitMQ workers of one name take turns; on Redis each gets every question.
    """

    def __init__(self, *workers, tasks=(OWN,), shares_mailboxes=False):
        self.control, self.tasks = self, {"celery.chord": None, **dict.fromkeys(tasks)}
        self.workers, self.shares_mailboxes = deque(workers), shares_mailboxes

    def broadcast(self, question, *, destination, reply, limit, timeout):
        limit = limit or (destination and len(destination)) or celery_helper.EVERYBODY  # as in Celery
        replies, heard = [], set()
        for name, answers in self.workers:
            answer = answers[question]
            if (destination and name not in destination) or (self.shares_mailboxes and name in heard):
                continue
            heard.add(name)
            if callable(answer):
                answer = answer()
            if answer is not None:
                replies.append({name: answer})
        self.workers.rotate(1)
        return replies[:limit]


def ask(app, *named):
    return celery_helper.known_tasks(app, list(named), 0.01)


ALIKE = worker("w1", "a", pid=1), worker("w1", "b", pid=2)


@pytest.mark.parametrize("named", [(), ("w1",), ("w1", "w2")])
@pytest.mark.parametrize("pids", [(1, 2), (1, 1)], ids=["on one host", "each in its container"])
def test_the_tasks_of_all_workers_count_even_if_two_share_a_name(named, pids):
    alike = [worker("w1", task, pid=pid) for task, pid in zip("ab", pids)]
    told = ask(App(*alike, worker("w2", "c", pid=3)), *named)
    assert {"a", "b", "job-a", "job-b"} <= set(told["tasks"])
    assert ("c" in told["tasks"]) == (named != ("w1",))
    assert told["warnings"] == [f"2 workers share the name w1. {celery_helper.REMEDY}"]


@pytest.mark.parametrize("named", [(), ("w1",)])
def test_two_workers_of_one_name_that_answer_by_turns_are_an_error(named):
    error = ask(App(*ALIKE, shares_mailboxes=True), *named)["error"]
    assert error.startswith("w1: the second answer came from another process than the first.")
    assert celery_helper.REMEDY in error


@pytest.mark.parametrize("question", ["registered", "scheduled", "reserved", "active"])
def test_one_of_two_workers_of_one_name_that_stops_answering_is_an_error(question):
    app = App(ALIKE[0], worker("w1", "b", pid=2, **{question: None}))
    error = ask(app)["error"]
    assert error.startswith(f"2 workers share the name w1, and not all of them answered ({question}) within 0.01 s.")
    assert celery_helper.REMEDY in error


def test_a_worker_has_to_answer_every_question():
    app = App(worker("w1", "a"), worker("w2", pid=2, active=None))
    assert ask(app)["error"] == "w2 answered first, but not when it was asked for active within 0.01 s"


def test_a_worker_that_is_restarted_meanwhile_is_an_error():
    pids = iter([1, 2])
    app = App(worker("w1", "a", stats=lambda: {"pid": next(pids)}))
    assert "from another process than the first. The worker was restarted just now" in ask(app)["error"]


@pytest.mark.parametrize("reply", [{"error": "KeyError('x')"}, "KeyError('x')"])
def test_a_reply_with_an_error_is_an_error(reply):
    assert (
        ask(App(worker("w1", reserved=reply)))["error"]
        == "w1 answered with an error when it was asked for reserved: KeyError('x')"
    )


def test_a_worker_that_appears_meanwhile_replaces_no_other():
    late = iter([None, {"pid": 2}])
    told = ask(App(worker("w2", "b", pid=2, stats=lambda: next(late)), worker("w1", "a")))
    assert {"a", "job-a"} <= set(told["tasks"])


def test_missing_answers_are_an_error():
    assert ask(App())["error"].startswith("no worker answered within 0.01 s; none can with")
    assert ask(App(worker("w1")), "w1", "w2", "w3")["error"] == "no answer from w2, w3 within 0.01 s"


def test_workers_of_another_application_do_not_count():
    forge = worker("forge", "x", pid=9, registered=[OTHER], active=None)
    assert set(ask(App(forge, worker("w1", "a")))["tasks"]) == {"a", "job-a"}
    error = ask(App(forge))["error"]
    assert error == "only workers of other applications answered, with none of this one's tasks: forge"


def test_a_registered_task_with_a_rate_limit_is_recognized():
    assert "a" in ask(App(worker("w1", "a", registered=[OTHER]), tasks=["forge.make"]))["tasks"]


def test_for_an_application_without_tasks_of_its_own_every_worker_counts():
    assert "a" in ask(App(worker("w1", "a", registered=[OTHER]), tasks=[]))["tasks"]


def test_a_task_is_found_by_its_id_and_by_its_arguments_at_any_depth():
    request = {"id": "t", "args": [["x", {"y": 1}], None], "kwargs": {"z": (2,)}}
    told = ask(App(worker("w1", scheduled=[{"eta": "…", "request": request}])))
    assert told["tasks"] == dict.fromkeys(["t", "x", "1", "None", "2"], "w1 has scheduled it (task t)")


class Sender:
    """An application that notes, in order, what it is told to send."""

    def __init__(self, broken=""):
        self.control, self.told, self.broken = self, [], broken

    @contextmanager
    def connection_for_write(self, connect_timeout):
        yield self

    def ensure_connection(self, **_limits):
        pass

    def revoke(self, ids, connection):
        self._tell("revoke", ids)

    def send_task(self, name, *, connection, retry, **task):
        self._tell(name, task)

    def _tell(self, what, data):
        if what == self.broken:
            raise OSError("the broker is gone")
        self.told.append((what, data))


TASKS = (
    {"name": "make", "task_id": "n1", "revoke": ["o1"]},
    {"name": "make", "task_id": "n2", "revoke": ["o2", "o-2"]},
)


def test_old_tasks_are_revoked_before_new_ones_are_sent():
    app = Sender()
    assert celery_helper.send(app, [dict(task) for task in TASKS], 1) == {"sent": 2}
    assert app.told == [("revoke", ["o1", "o2", "o-2"]), ("make", {"task_id": "n1"}), ("make", {"task_id": "n2"})]


def test_without_old_tasks_nothing_is_revoked():
    app = Sender(broken="revoke")
    assert celery_helper.send(app, [{"name": "make"}, {"name": "make", "revoke": []}], 1) == {"sent": 2}


def test_if_old_tasks_can_not_be_revoked_no_new_one_is_sent():
    app = Sender(broken="revoke")
    told = celery_helper.send(app, [dict(task) for task in TASKS], 1)
    assert (told, app.told) == ({"sent": 0, "error": "OSError: the broker is gone"}, [])
