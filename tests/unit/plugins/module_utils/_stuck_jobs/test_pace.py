"""How many rows a batch has."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import pace as module
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.pace import LEAST, Pace

ROW = 0.00001  # seconds to write one


@pytest.fixture
def pace(monkeypatch):
    """With a session that takes as long to write and to commit as is set, by a clock that nothing else moves."""

    class Session:
        hold, commit_takes, now = 0.015, 0.0, 1000.0

        def begin(self):
            pass

        def commit(self):
            self.now += self.commit_takes

        def roll_back(self):
            return False

        def give_way(self):
            pass

        def monotonic(self):
            return self.now

    session = Session()
    monkeypatch.setattr(module, "time", session)
    pace = Pace(session)
    pace.session = session
    return pace


def sizes(pace, jobs):
    """The sizes of the batches, but the last one's, which has what is left."""
    found = []
    for batch in pace.batches(range(jobs), lambda _job: 1):
        with pace.transaction(batch):
            pace.session.now += ROW * len(batch)
        found.append(len(batch))
    return found[:-1]


def test_a_batch_has_as_many_rows_as_can_be_written_in_the_time(pace):
    assert sizes(pace, 50_000)[-1] == pytest.approx(pace.session.hold / ROW, abs=2)


@pytest.mark.parametrize("commit_takes", [0.012, 0.04, 0.5])
def test_slow_syncs_take_no_more_than_half_of_a_batch(pace, commit_takes):
    pace.session.commit_takes = commit_takes
    assert sizes(pace, 100_000)[-1] * ROW >= min(commit_takes, module.MOST * ROW) * 0.99


def test_a_commit_that_once_waited_for_a_reader_makes_no_larger_batches(pace):
    sizes(pace, 10_000)
    pace.session.commit_takes = 5
    assert sizes(pace, 20_000)[-1] == LEAST


def test_waiting_before_a_commit_makes_no_smaller_batches(pace):
    def wait():
        pace.session.now += 1

    before = sizes(pace, 50_000)[-1]
    for batch in pace.batches(range(before), lambda _job: 1):
        with pace.transaction(batch, wait):
            pace.session.now += ROW * len(batch)
    assert sizes(pace, 50_000)[0] == pytest.approx(before, abs=2)


def test_a_part_of_a_batch_changes_no_size(pace):
    before = sizes(pace, 50_000)[-1]
    for batch in pace.batches(range(before), lambda _job: 1):
        for part in (batch[:10], batch[10:]):
            with pace.transaction(part):
                pace.session.now += 1
    assert sizes(pace, 50_000)[0] == before
