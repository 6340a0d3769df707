"""What the checks say of a beat's schedule, from the probe's answer."""

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import schedule
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight.answer import MARK, AnswerError, read
from workers import beat

ENTRY = {
    **{"name": "photos", "task": "album.photos", "queue": "celery", "known": True, "has_gap": False},
    **{"next": "2026-11-28 01:00", "next_local": "2026-11-28 02:00"},
}


def test_each_entry_is_a_line_with_its_next_time_in_its_zone_and_in_utc():
    found = {"zone": "Europe/Berlin", "entries": [ENTRY], "more_entries": 3}
    assert list(schedule.lines(found)) == [
        "photos: album.photos to queue celery, next at 2026-11-28 02:00 Europe/Berlin, 2026-11-28 01:00 UTC",
        "and 3 more",
    ]
    assert "next at 2026-11-28 01:00 UTC" in next(schedule.lines({"zone": "UTC", "entries": [ENTRY]}))


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            {"entries": [{**ENTRY, "known": False}]},
            "sends the task 'album.photos', which the application does not have",
        ),
        (
            {"entries": [{**ENTRY, "queue": "x"}]},
            "is sent to queue 'x', from which no worker of the inventory consumes",
        ),
        ({"entries": [{**ENTRY, "has_gap": True}]}, "Celery skips the hour that occurs twice"),
        ({"entries": []}, "the schedule has no entries"),
        ({"migrations": ["album.0002_more"]}, "migrations are not applied, such as album.0002_more."),
        ({"schedule": "OperationalError: no"}, "the schedule can't be read: OperationalError: no. Beat waits"),
    ],
)
def test_what_will_not_work_is_a_warning(found, sentence):
    (warning,) = schedule.warnings(found, {"celery"})
    assert sentence in warning


def test_a_schedule_without_mistakes_gets_no_warning_nor_a_worker():
    assert list(schedule.warnings({"entries": [ENTRY]}, {"celery", "mail"})) == []
    assert list(schedule.warnings({"entries": [{**ENTRY, "queue": "x"}]}, ())) == []
    assert list(schedule.warnings({}, {"celery"})) == []


def test_missing_tables_are_an_error():
    (error,) = schedule.errors(beat(), {"tables": False})
    assert "Run manage.py migrate." in error
    assert not list(schedule.errors(beat(), {"tables": True}))


@pytest.mark.parametrize(
    ("uri", "refused"),
    [("amqp://guest:**@h//", True), ("redis://h/0", False), ("rediss://h", False), ("sentinel://h", False)],
)
def test_the_lock_needs_redis(uri, refused):
    assert [("is not Redis" in error) for error in schedule.errors(beat(lock=True), {"uri": uri})] == [True] * refused
    assert not list(schedule.errors(beat(), {"uri": uri}))


def test_the_entries_of_an_answer_are_fit_to_be_shown():
    hostile = {**ENTRY, "name": "a\nfatal: [host]\x1b[2J", "queue": "geheim-4711"}
    answer = read(MARK + json.dumps({"entries": [hostile]}), beat(environment={"DB_PASSWORD": "geheim-4711"}))
    (entry,) = answer["entries"]
    assert entry["name"].isprintable()
    assert entry["queue"] == "********"


@pytest.mark.parametrize(
    "forged",
    [{"entries": {}}, {"entries": [{}]}, {"entries": [{**ENTRY, "known": 1}]}, {"entries": [{**ENTRY, "next": None}]}],
)
def test_entries_of_another_form_do_not_count(forged):
    with pytest.raises(AnswerError):
        read(MARK + json.dumps(forged), beat())
