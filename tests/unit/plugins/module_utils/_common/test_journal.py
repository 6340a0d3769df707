"""Entries with fields of their own for the journal."""

import socket
import struct

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import journal


@pytest.fixture
def journald(monkeypatch, tmp_path):
    monkeypatch.setattr(journal, "_SOCKET", str(tmp_path / "socket"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.settimeout(10)
        yield listening


def test_no_text_can_add_a_field(journald):
    """Each field has its length before it."""
    journal.send("one\nPRIORITY=0", PRIORITY=5)
    fields = [("MESSAGE", b"one\nPRIORITY=0"), ("PRIORITY", b"5")]
    assert journald.recv(1000) == b"".join(
        name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n" for name, value in fields
    )


def test_without_a_journal_nothing_happens(monkeypatch, tmp_path):
    monkeypatch.setattr(journal, "_SOCKET", str(tmp_path / "none"))
    journal.send("hello")
