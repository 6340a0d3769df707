"""A time is written as the application writes its own: "{now}" among the columns that an action sets."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.sqlite.times import (
    parse_time,
    write_time,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.times import iso_time, parse_zone, utc_time
from hypothesis import given
from hypothesis import strategies as st

MOMENT = datetime(2026, 1, 18, 12, 34, 56, 789_000, timezone.utc).timestamp()
SECONDS = st.floats(1.1e9, 7e9)
BERLIN = parse_zone("Europe/Berlin")
ISO = st.builds(
    "2020-02-29{}12:00{}{}{}".format,
    st.sampled_from("T t"),
    st.sampled_from(("", ":00", ":59")),
    st.just(""),
    st.sampled_from(("", "Z", "z", "+02:00", "-0730", " +00", "-11")),
) | st.builds(
    "2020-02-29{}12:00:07{}{}{}".format,
    st.sampled_from("T "),
    st.sampled_from(".,"),
    st.text("0123456789", min_size=1, max_size=9),
    st.sampled_from(("", "Z", "+02:00", "-0730", "-11", " UTC", " +0000 UTC", " -0700 PDT m=+0.1", "Z[UTC]")),
)
EPOCHS = st.sampled_from((1_600_000_000, 1_600_000_000_000, 1_600_000_000_000_000, 1_600_000_000_000_000_000))
OTHERS = st.one_of(EPOCHS, EPOCHS.map(float), EPOCHS.map(str), st.just("1600000000.25"), st.floats(2444240, 2524593))


@pytest.mark.parametrize(
    ("like", "written"),
    [
        ("2020-01-01T00:00:00Z", "2026-01-18T12:34:56Z"),
        (" 2020-01-01 00:00:00 ", "2026-01-18 12:34:56"),
        ("2020-01-01 00:00", "2026-01-18 12:34"),
        ("2020-01-01T00:00:00.5+01:00", "2026-01-18T13:34:56.7+01:00"),
        ("2020-01-01 00:00:00,123456789-0730", "2026-01-18 05:04:56,789000000-0730"),
        ("2020-01-01 00:00:00+00", "2026-01-18 12:34:56+00"),
        ("2020-01-01 00:00:00.5 -0700 PDT m=+0.490123", "2026-01-18 05:34:56.7 -0700 PDT"),
        ("2020-01-01 00:00:00 +0545 +0545", "2026-01-18 18:19:56 +0545 +0545"),
        ("2020-01-01 00:00:00 UTC", "2026-01-18 12:34:56 UTC"),
        ("2020/01/01 00:00:00", "2026/01/18 12:34:56"),
        ("2020-01-01T00:00:00+01:00[Europe/Berlin]", "2026-01-18T13:34:56+01:00[Europe/Berlin]"),
        ("Wed, 01 Jan 2020 00:00:00 GMT", "Sun, 18 Jan 2026 12:34:56 GMT"),
        ("Wed, 01 Jan 2020 00:00:00 +0130", "Sun, 18 Jan 2026 14:04:56 +0130"),
        (1_600_000_000, 1_768_739_696),
        (1_600_000_000_000_000_000, 1_768_739_696_789_000_000),
        ("1600000000000000000", "1768739696789000000"),
        ("1600000000000.0", "1768739696789.0"),
        (1_600_000_000_000, 1_768_739_696_789),
        (1_600_000_000.5, MOMENT),
        ("1600000000", "1768739696"),
        ("1600000000.0", "1768739696.7"),
        ("1600000000000", "1768739696789"),
        (2_459_000.5, MOMENT / 86400 + 2_440_587.5),
        (None, None),
        ("soon", None),
        (20_260_118, None),
        ("infinity", None),
        ("2020-W01-3T00:00:00", None),
        ("2020-01-01T00", None),
        ("١٦٠٠٠٠٠٠٠٠", None),
        (10**400, None),
    ],
)
def test_it_has_the_form_of_the_other_time(like, written):
    found = write_time(MOMENT, like)
    assert (found, type(found)) == (written, type(written))


def precision(like):
    """Seconds of the last digit."""
    if not isinstance(like, str):
        return 1 if like == 1_600_000_000 else 1e-3
    if like[4:5] != "-":
        return 1
    return 60 if like.count(":", 0, 19) == 1 else 1


@given(SECONDS, ISO | OTHERS, st.sampled_from((timezone.utc, BERLIN)))
def test_it_is_that_time_within_the_precision_of_the_form(seconds, like, zone):
    parsed = parse_time(write_time(seconds, like, zone), zone)
    # An hour that occurs twice is taken as the later one.
    past = min(seconds - parsed, seconds - parsed + 3600, key=abs) if zone is BERLIN else seconds - parsed
    assert -1e-3 <= past <= precision(like)


@pytest.mark.parametrize("never", ["9999-12-31 23:59:59.9999999", "9999-12-31T23:59:59-12:00"])
def test_the_last_time_of_all_is_one_that_can_be_shown(never):
    assert utc_time(parse_time(never)) == "9999-12-31T23:59:59Z"


@given(SECONDS)
def test_without_another_time_it_is_iso_8601(seconds):
    assert parse_time(iso_time(seconds)) == int(seconds)
    assert parse_time(iso_time(seconds, BERLIN)) == int(seconds)
