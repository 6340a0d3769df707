"""How many rows a batch has."""

from __future__ import annotations

from contextlib import suppress

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs import pace as module
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.batches import Batches
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.pace import LEAST, NotReady, Pace

ROW = 0.00001  # seconds to write one


@pytest.fixture
def pace(monkeypatch):
    """With a session that takes as long to write and to commit as is set, by a clock that nothing else moves."""

    class Session:
        hold, commit_takes, now = 0.015, 0.0, 1000.0
        is_open = False

        def begin(self):
            self.is_open = True

        def commit(self):
            self.now += self.commit_takes
            self.is_open = False

        def roll_back(self):
            was_open, self.is_open = self.is_open, False
            return was_open

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
    for batch in Batches(pace, [range(jobs)], lambda _job: 1):
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


@pytest.mark.parametrize("commit_takes", [0, 0.5])
def test_a_transaction_that_has_to_wait_is_held_no_longer_than_others_and_rolled_back(pace, commit_takes):
    pace.session.commit_takes = commit_takes
    sizes(pace, 50_000)
    pace.longest, begun = 0.0, pace.session.now

    def wait(seconds):
        pace.session.now += seconds
        return False

    with pytest.raises(NotReady), pace.transaction(range(10), wait):
        pace.session.now += 0.001
    assert not pace.session.is_open
    assert not pace.in_doubt
    most = module.LONGEST_WAIT if commit_takes else pace.session.hold
    assert pace.longest == pace.session.now - begun == pytest.approx(most)


def test_a_transaction_that_has_taken_long_does_not_wait(pace):
    waits = []
    with suppress(NotReady), pace.transaction(range(10), waits.append):
        pace.session.now += 1
    assert waits == [0]


def test_waiting_before_a_commit_makes_no_smaller_batches(pace):
    def wait(_seconds):
        pace.session.now += 1
        return True

    before = sizes(pace, 50_000)[-1]
    for batch in Batches(pace, [range(before)], lambda _job: 1):
        with pace.transaction(batch, wait):
            pace.session.now += ROW * len(batch)
    assert sizes(pace, 50_000)[0] == pytest.approx(before, abs=2)


def test_a_part_of_a_batch_changes_no_size(pace):
    before = sizes(pace, 50_000)[-1]
    for batch in Batches(pace, [range(before)], lambda _job: 1):
        for part in (batch[:10], batch[10:]):
            with pace.transaction(part):
                pace.session.now += 1
    assert sizes(pace, 50_000)[0] == before
