"""An environment file is read as systemd reads it; molecule/attacks compares with systemd itself."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.environment_files import variables
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB = two words \n", {"A": "1", "B": "two words"}),
        ("# A=1\n; B=2\n\n# continued \\\nC=3\nD=4", {"C": "3", "D": "4"}),
        ("A='one' \"two\"three \n", {"A": "onetwothree"}),
        ('A=it\'s "quoted"\n', {"A": 'it\'s "quoted"'}),
        ('A="\\"\\\\\\`\\$\\n"\n', {"A": '"\\`$\\n'}),
        ("A='\\n \"'\n", {"A": '\\n "'}),
        ('A="two\nlines"\nB=x\\\ny\\ \n', {"A": "two\nlines", "B": "xy "}),
        ("A\nB=\n=C\n1=2\nÄ=1\nexport D=1\n", {"B": ""}),
        ('A="open', {"A": "open"}),
        ("A=1\nA=2\r\n", {"A": "2"}),
    ],
)
def test_the_grammar_is_that_of_systemd(text, found):
    assert variables(text) == found


@given(st.text() | st.text(st.sampled_from("AB= \t\n\r'\"\\#;$`x")))
def test_every_text_is_read(text):
    for name, value in variables(text).items():
        assert name.isidentifier()
        assert "\0" not in value
