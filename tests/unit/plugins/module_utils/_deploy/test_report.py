"""What is shown of a service's files, and of its journal."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.files import File
from ansible_collections.evenkeel.celery.plugins.module_utils._common.paths import MARKER
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy.report import (
    FIRST,
    LAST,
    from_first_error,
    show_file,
)

UNIT = "/etc/systemd/system/w.service"


def test_an_original_unit_is_shown_without_its_secrets_and_control_characters():
    text = "[Service]\nEnvironment=A=geheim\nExecStart=/x redis://:geheim@h\x1b]0;owned\n"
    shown = show_file(UNIT, File(text.encode()))
    assert shown == (
        f"--- {UNIT} (mode 0644)\n[Service]\nEnvironment=A=********\nExecStart=/x redis://:********@h\\x1b]0;owned\n"
    )


def test_our_own_unit_is_shown_as_it_is():
    text = f"{MARKER}\n[Service]\nEnvironment=PYTHONUNBUFFERED=1\n"
    assert show_file(UNIT, File(text.encode())).endswith(text)


def test_only_the_names_of_an_environment_file_are_shown():
    shown = show_file("/etc/evenkeel/w.env", File(b'A="geheim"\nB="x"\n', 0o600))
    assert shown == "--- /etc/evenkeel/w.env (mode 0600, values not shown): A, B\n"


TRACEBACK = ["Traceback (most recent call last):", '  File "/x.py", line 1, in f', "    open(path)"]
CAUSE = "OSError: [Errno 30] Read-only file system: '/srv/shop/log'"
LAST_ONE = "ValueError: Unable to configure handler 'file'"


def test_the_journal_is_shown_from_its_first_error_on():
    failed = [*TRACEBACK, CAUSE, "", "The above exception was the direct cause of the following exception:", ""]
    failed += [*TRACEBACK, LAST_ONE, "shop.service: Main process exited, code=exited, status=1/FAILURE"]
    assert from_first_error(["Starting Celery worker shop…", "-------- celery@host", *failed]) == failed


def test_of_a_long_failure_the_exceptions_between_its_beginning_and_its_end_are_shown():
    frames = ['  File "/x.py", line 1, in f', "    f()"] * FIRST
    lines = from_first_error([TRACEBACK[0], *frames, CAUSE, *TRACEBACK, *frames, LAST_ONE])
    assert lines[0] == TRACEBACK[0]
    assert lines[FIRST + 1 : -LAST] == [CAUSE]
    assert lines[FIRST].startswith("… 1")
    assert lines[-1] == LAST_ONE
    assert len(lines) == FIRST + 2 + LAST


def test_a_log_full_of_errors_is_shown_within_bounds():
    lines = from_first_error([line for number in range(500) for line in (f"  x{number}", f"ERROR {number}")])
    assert len(lines) < FIRST + LAST + 10


def test_without_an_error_the_last_lines_are_shown():
    assert from_first_error([f"line {number}" for number in range(100)])[0] == f"line {100 - LAST}"
    assert from_first_error([]) == []


@pytest.mark.parametrize(
    "line",
    [
        TRACEBACK[0],
        "[2026-11-27 12:00:00,000: CRITICAL/MainProcess] Unrecoverable error: AttributeError()",
        "[2026-11-27 12:00:00,000: ERROR/MainProcess] consumer: Cannot connect to redis://h:6379//",
        "Error: Invalid value for '-A' / '--app':",
        "Fatal Python error: Aborted",
    ],
)
def test_what_begins_an_error(line):
    assert from_first_error(["Starting…", line, "and more"]) == [line, "and more"]
