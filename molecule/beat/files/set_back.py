"""Stores a schedule as a clock that was an hour ahead has left it: set_back.py FILE."""

import pickle
import sys
from datetime import timedelta
from pathlib import Path

file = Path(sys.argv[1])
stored = pickle.loads(file.read_bytes())  # noqa: S301 -- the test's own
for entry in stored["entries"].values():
    entry.last_run_at += timedelta(hours=1)
file.write_bytes(pickle.dumps(stored))
