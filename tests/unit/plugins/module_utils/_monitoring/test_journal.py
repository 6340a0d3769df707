"""What is read of the journal, with a journalctl of our own."""

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import journal
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.journal import JournalError, Question, Reading

QUESTION = Question([["_PID=1", "UNIT=a.service"], ["_TRANSPORT=kernel"]], ["UNIT"], "oom")


def entry(number, message="hello", **fields):
    return json.dumps(
        {"MESSAGE": message, "__CURSOR": f"i={number}", "__REALTIME_TIMESTAMP": f"{number}000000", **fields}
    )


@pytest.fixture
def journalctl(tmp_path, monkeypatch):
    """Makes journalctl write these lines, and end with this status. The file `asked` has its arguments."""
    monkeypatch.setattr(journal, "ENVIRONMENT", {"PATH": f"{tmp_path}:/usr/bin:/bin"})

    def make(*lines, says="", status=0, then=""):
        output = tmp_path / "output"
        output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        program = tmp_path / "journalctl"
        program.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/asked\n'
            f'cat {output}\n{then}\necho "{says}" >&2\nexit {status}\n'
        )
        program.chmod(0o755)
        return tmp_path / "asked"

    return make


def test_entries_are_asked_for_by_alternatives(journalctl):
    asked = journalctl(entry(1))
    assert [each.message for each in Reading(QUESTION, since=1.5)] == ["hello"]
    assert asked.read_text().splitlines() == [
        *("--no-pager", "--quiet", "--all", "--output=json", "--show-cursor", "--output-fields=MESSAGE,UNIT"),
        *("--since=@1.500000", "--grep=oom", "--case-sensitive=yes"),
        *("_PID=1", "UNIT=a.service", "+", "_TRANSPORT=kernel"),
    ]


def test_reading_goes_on_after_the_cursor(journalctl):
    asked = journalctl(entry(4), entry(5), "-- cursor: i=9")
    reading = Reading(QUESTION, cursor="i=4", since=1.5)
    assert [each.cursor for each in reading] == ["i=5"]
    assert reading.cursor == "i=9"
    assert "--cursor=i=4" in asked.read_text().splitlines()
    assert "--since" not in asked.read_text()


def test_if_the_entry_of_the_cursor_is_gone_none_is_left_out(journalctl):
    journalctl(entry(7), entry(8))
    assert [each.cursor for each in Reading(QUESTION, cursor="i=4")] == ["i=7", "i=8"]


def test_an_empty_journal_leaves_the_cursor_as_it_is(journalctl):
    journalctl(status=1)
    reading = Reading(QUESTION, cursor="i=4")
    assert (list(reading), reading.cursor) == ([], "i=4")


def test_no_more_entries_are_read_than_wanted(journalctl):
    journalctl(*map(entry, range(1, 50)), then="exec sleep 600")
    reading = Reading(QUESTION, most=3)
    assert [each.time for each in reading] == [1, 2, 3]
    assert (reading.cursor, reading.exceeded) == ("i=3", True)


def test_a_search_without_an_end_is_ended(journalctl):
    journalctl(entry(1), then="exec sleep 600")
    reading = Reading(QUESTION, seconds=0.1)
    assert len(list(reading)) <= 1
    assert reading.exceeded


def test_a_journal_that_cannot_be_read_is_an_error(journalctl):
    journalctl(says="No journal files were opened due to insufficient permissions.", status=1)
    with pytest.raises(JournalError, match="can't be read: No journal files were opened due to insufficient"):
        list(Reading(QUESTION))


def test_a_journalctl_that_something_else_ended_is_an_error(journalctl):
    journalctl(entry(1), then="kill -BUS $$")
    with pytest.raises(JournalError, match="signal 7 ended journalctl"):
        list(Reading(QUESTION))


@pytest.mark.parametrize("at", [0, 1])
def test_reading_goes_on_after_an_entry_that_is_too_long(journalctl, at):
    """Wherever its cursor is, whatever it says."""
    lie = json.dumps('"__CURSOR":"i=9","__CURSOR":"i=9"')
    parts = [f'"MESSAGE":{lie[:-1]}{"y" * journal.LONGEST}"', '"__CURSOR":"i=2"']
    journalctl(entry(1), f"{{{','.join(parts[::-1] if at else parts)}}}", then="exec sleep 600")
    reading = Reading(QUESTION, seconds=1)
    assert [each.cursor for each in reading] == ["i=1"]
    assert (reading.cursor, reading.exceeded) == ("i=2", True)


def test_an_entry_that_was_cut_off_is_read_again(journalctl):
    journalctl(entry(1), then=f"printf '%s' '{entry(2)[:-9]}'; exec sleep 600")
    reading = Reading(QUESTION, seconds=1)
    assert [each.cursor for each in reading] == ["i=1"]
    assert reading.cursor == "i=1"


def test_text_that_is_not_utf8_is_replaced(journalctl):
    journalctl(entry(1, [255, 254, 32, 52, 50, 57], UNIT=["a", "b"]))
    (read,) = Reading(QUESTION)
    assert read.message == "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} 429"
    assert read.fields == {"UNIT": "a"}


def test_what_is_too_long_or_damaged_is_left_out(journalctl):
    journalctl(entry(1, "x" * 99_999), entry(2, "y" * journal.LONGEST), "{broken", "[]", entry(3, None))
    assert [len(each.message) for each in Reading(QUESTION)] == [99_999, 0]
