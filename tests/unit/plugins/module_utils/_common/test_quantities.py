import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import (
    LONGEST,
    MOST_BYTES,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "size"),
    [("500M", 500 * 2**20), ("2G", 2**31), ("2GiB", 2**31), ("1.5k", 1536), (4096, 4096), (" 1 T ", 2**40), ("0", 0)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300", 300),
        (300, 300),
        ("30m", 1800),
        ("5min", 300),
        ("1h 30min", 5400),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("2 d", 172800),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "M", "-1G", "2X", "1 2", "infinity", None, "2G; rm", "٣G", "2\nG", "9" * 5000])
def test_what_is_not_a_size_is_an_error(text):
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "s", "-5", "5 parsecs", "1h!", None, "٣s", "1\n2", "9" * 5000])
def test_what_is_not_a_duration_is_an_error(text):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=2**60))
def test_a_formatted_size_is_parsed_as_the_same_size(size):
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("parse", "text"), [(parse_size, "8388608T"), (parse_duration, "36501d"), (parse_duration, "9" * 15 + "w")]
)
def test_what_no_machine_counts_is_an_error(parse, text):
    with pytest.raises(ValueError, match="write at most"):
        parse(text)


@given(st.text() | st.text("0123456789.KMGTiBsmhdw ") | st.integers() | st.floats() | st.none())
def test_every_input_is_a_number_within_its_limits_or_an_error(value):
    for parse, most in ((parse_size, MOST_BYTES), (parse_duration, LONGEST)):
        try:
            assert 0 <= parse(value) <= most
        except ValueError as error:
            assert "write" in str(error)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (5.4, "5s"), (90, "1min 30s"), (9000, "2h 30min"), (90061, "1d 1h")]
)
def test_a_duration_is_written_in_its_two_largest_units(seconds, text):
    assert format_duration(seconds) == text
