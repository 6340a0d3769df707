"""What is written together, and what of it is made ahead."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.batches import Ahead, Batches
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.pace import Pace
from hypothesis import given
from hypothesis import strategies as st

PAGES = st.lists(st.lists(st.sampled_from((1, 1, 1, 4)), max_size=6), max_size=8)  # the rows of each job


class Source:
    """Pages, some of which have been read and need no query."""

    def __init__(self, pages, prepare=lambda _batch: None, fails_after=None):
        self._pages, self._read = list(pages), 0
        self._fails_after = len(self._pages) + 1 if fails_after is None else fails_after
        self.queries = 0
        self.ahead = Ahead(self.read, lambda: self._read > 0, prepare)

    def read(self, _rows=1.0):
        self.queries += 1
        if self._fails_after == 0:
            self._fails_after = -1
            raise OSError("the disk is broken")
        if self._fails_after > 0 and self._read < len(self._pages):
            self._fails_after -= 1
            self._read += 1

    def __iter__(self):
        while True:
            if not self._read:
                self.read()
            if not self._read:
                return
            self._read -= 1
            yield self._pages.pop(0)


def pace(most):
    class Session:
        hold = 0.01

    return Pace(Session(), most)


def all_of(batches, parts=lambda: 0):
    """The batches, between which so many parts of the next one are made ahead."""
    found = []
    for batch in batches:
        found.append(batch)
        go_on = batches.start_next()
        for _part in range(parts()) if go_on else ():
            go_on()
    return found


@given(pages=PAGES, most=st.integers(1, 9), data=st.data())
def test_no_job_is_lost_doubled_or_moved_whatever_is_made_ahead(pages, most, data):
    source = Source(pages)
    batches = Batches(pace(most), source, lambda rows: rows, source.ahead)
    found = all_of(batches, lambda: data.draw(st.integers(0, 5)))
    assert [job for batch in found for job in batch] == [job for page in pages for job in page]
    assert all(sum(batch[:-1]) < most for batch in found)
    assert all(sum(batch) >= most for batch in found[:-1])


@given(pages=PAGES, most=st.integers(1, 9))
def test_nothing_is_read_while_the_database_is_busy(pages, most):
    source = Source(pages)
    batches = Batches(pace(most), source, lambda rows: rows, source.ahead)
    for _batch in batches:
        go_on, queries = batches.start_next(), source.queries
        while go_on and go_on():
            assert source.queries == queries
        assert source.queries == queries


def test_what_is_given_as_a_whole_has_nothing_to_be_made_ahead():
    batches = Batches(pace(2), [[1, 1, 1]], lambda rows: rows)
    assert next(batches) == [1, 1]
    assert batches.start_next() is None
    assert list(batches) == [[1]]


def test_beside_large_jobs_there_is_room_for_no_others():
    source = Source([[9], [1], [1]])
    batches = Batches(pace(1), source, lambda rows: rows, source.ahead)
    assert next(batches) == [9]
    queries = source.queries
    assert batches.start_next() is None
    assert source.queries == queries
    assert next(batches) == [1]
    assert batches.start_next()


def test_a_whole_batch_is_prepared_once():
    prepared = []
    source = Source([[1, 1], [1, 1], [1, 1]], prepared.append)
    batches = Batches(pace(2), source, lambda rows: rows, source.ahead)
    assert all_of(batches, lambda: 9) == [[1, 1]] * 3
    assert prepared == [[1, 1]] * 2


def test_an_error_has_its_turn_after_all_that_had_been_read():
    source = Source([[1, 1], [1, 1], [1, 1]], fails_after=2)
    batches = Batches(pace(2), source, lambda rows: rows, source.ahead)
    assert next(batches) == [1, 1]
    assert batches.start_next()()
    assert next(batches) == [1, 1]
    assert batches.start_next() is None
    with pytest.raises(OSError, match="broken"):
        next(batches)


def test_an_error_in_preparing_is_left_to_who_needs_what_is_prepared():
    def fail(_batch):
        raise MemoryError

    source = Source([[1, 1], [1, 1]], fail)
    assert all_of(Batches(pace(2), source, lambda rows: rows, source.ahead), lambda: 9) == [[1, 1]] * 2
