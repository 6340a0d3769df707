"""What cron would ignore, or read as something else, is refused."""

import shlex

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.plan import Cron
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.schedule import schedule_errors, user_errors
from hypothesis import given
from hypothesis import strategies as st

FIELDS = ("minute", "hour", "day", "month", "weekday")


@pytest.mark.parametrize(
    "schedule",
    [
        {},
        {"minute": "*/5", "hour": "8-18", "day": "1,15", "month": "jan-Mar", "weekday": "mon,5"},
        {"minute": "0-59/7", "weekday": "7"},
        {"minute": None},
    ],
)
def test_the_grammar_of_crontab_is_accepted(schedule):
    assert not list(schedule_errors(schedule))


@pytest.mark.parametrize(
    "value", ["", "60", "1 2", "*\n* * * * * root true", "5/2", "*/0", "9-5", "@daily", "½", "٣", "%"]
)
def test_what_is_no_field_of_crontab_is_an_error(value):
    (error,) = schedule_errors({"minute": value})
    assert error.startswith(f"cron_schedule: minute {value!r} is not a field of crontab(5). Use *, numbers from 0 to")


@given(st.dictionaries(st.sampled_from(FIELDS), st.text() | st.text("0123456789*/,-\n\r ")))
def test_an_accepted_schedule_is_the_first_five_words_of_one_line(schedule):
    if list(schedule_errors(schedule)):
        return
    _marker, line, end = str(Cron(schedule, "root")).split("\n")
    assert not end
    times = [schedule.get(field, "*/10" if field == "minute" else "*") for field in FIELDS]
    assert line.split()[:6] == [*times, "root"]
    assert line.isprintable()


@pytest.mark.parametrize("user", ["two words", "line\nfeed", "", "\x1b"])
def test_a_user_whose_name_ends_a_field_is_an_error(user):
    assert len(list(user_errors(user))) == 1


@given(st.text(st.characters(blacklist_categories=("Z", "C")), min_size=1))
def test_cron_gets_a_users_name_as_one_word(user):
    assert not list(user_errors(user))
    line = str(Cron({}, user)).split("\n")[1]
    command = line.split(None, 6)[6].replace("\\%", "%")
    assert shlex.split(command)[5] == f"/var/lib/evenkeel/job_cleanup/{user}"
    assert "%" not in line.split(None, 6)[6].replace("\\%", "")
