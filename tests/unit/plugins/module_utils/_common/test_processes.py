"""A program's time and output are bounded, whatever it does."""

import sys
import time

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.processes import run


def python(code, **bounds):
    return run([sys.executable, "-c", code], **{"seconds": 60, **bounds})


def test_output_error_and_status_are_returned():
    result = python("import os; os.write(1, b'out \\xff'); os.write(2, b'err'); raise SystemExit(3)")
    assert (result.output, result.error, result.status, result.exceeded) == ("out \ufffd", "err", 3, "")


def test_endless_output_is_cut_off():
    result = python("while True: print('x' * 1000)", most=10_000)
    assert result.exceeded == "output"
    assert len(result.output) < 200_000


@pytest.mark.parametrize(
    "code",
    ["import time; time.sleep(600)", "import os, time; os.close(1); os.close(2); time.sleep(600)"],
    ids=["silent", "output closed"],
)
def test_a_program_that_does_not_end_is_killed(code):
    begun = time.monotonic()
    assert python(code, seconds=0.5).exceeded == "time"
    assert time.monotonic() - begun < 30
