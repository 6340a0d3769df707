import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import printable, printable_data
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a plain sentence", "a plain sentence"),
        ("Grüße, 日本", "Grüße, 日本"),
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("one\nok: [host]\r\0", r"one\nok: [host]\r\x00"),
        ("\x85\x9b31m\x7f", r"\x85\x9b31m\x7f"),
        ("abc\u202efdp.exe\u2066", r"abc\u202efdp.exe\u2066"),
        ("\u2028\ufeff\udcff", r"\u2028\ufeff\udcff"),
        (None, "None"),
    ],
)
def test_what_a_terminal_would_act_on_is_escaped(text, shown):
    assert printable(text) == shown


@given(st.text())
def test_every_text_becomes_one_printable_line(text):
    shown = printable(text, None)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    shown.encode()


def test_a_long_text_is_cut_off():
    assert printable("x" * 501) == "x" * 499 + "…"
    assert printable("x" * 501, None) == "x" * 501


def test_characters_can_be_kept():
    assert printable("one\n\ttwo\x1b", keep="\n") == "one\n\\ttwo\\x1b"


def test_texts_in_data_are_made_printable_at_any_depth():
    data = {"a\n": [1, None, "b\x1b", {"c": True, "d": "e\r"}]}
    assert printable_data(data) == {r"a\n": [1, None, r"b\x1b", {"c": True, "d": r"e\r"}]}
