"""Common to all faults: they occur in the middle of 200 tasks (files/load.py)."""

from collections import Counter

import pytest

TASKS = 200


@pytest.fixture
def all_done(server, noted):
    """Waits until each task of a load is completed; records and returns how many were completed twice."""

    def tally(load):
        log = server.check_output("cat /opt/shop/data/done.log").split()
        return Counter(line for line in log if line.startswith(f"{load}-"))

    def run(load):
        server.wait_for(lambda: len(tally(load)) == TASKS, f"all tasks of {load}")
        twice = sum(tally(load).values()) - TASKS
        noted(f"{load}: {TASKS} of {TASKS} done, twice", str(twice))
        return twice

    return run
