"""What is read of the journal."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import systemd


@pytest.fixture
def asked(monkeypatch):
    """The numbers of lines that journalctl is asked for: of a thousand it writes more than is read."""
    numbers = []

    def run(_program, lines, *_options, timeout=0):
        numbers.append(int(lines.removeprefix("--lines=")))
        if numbers[-1] > 100:
            raise systemd.LateError("journalctl had not ended after 120 s")
        return "one\x1b[2J\x0b\n  two\n"

    monkeypatch.setattr(systemd, "run", run)
    return numbers


def test_of_a_journal_with_very_long_lines_fewer_are_read(asked):
    assert systemd.journal(["4711"]) == ["one\\x1b[2J\\x0b", "  two"]
    assert asked == [1000, 20]


def test_a_service_that_was_not_started_has_no_journal(asked):
    assert systemd.journal(["", ""]) == ["It has no entries, as systemd did not start the service."]
    assert not asked
