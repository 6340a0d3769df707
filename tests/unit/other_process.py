"""Another process that has a database open: one in which SQLite is open must not fork, as a clean-up does."""

import json
import subprocess
import sys
from contextlib import contextmanager

PROGRAM = """
import json, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
for line in sys.stdin:
    delay, sql = json.loads(line)
    time.sleep(delay)
    db.execute(sql)
    print("done", flush=True)
"""


class Other:
    def __init__(self, process):
        self._process = process

    def execute(self, sql):
        self.begin(sql)
        assert self._process.stdout.readline() == "done\n"

    def begin(self, sql, after=0):
        """Executes it in a while, and does not wait for it."""
        self._process.stdin.write(json.dumps([after, sql]) + "\n")
        self._process.stdin.flush()


@contextmanager
def other_process(path):
    command = [sys.executable, "-c", PROGRAM, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Other(process)
        process.stdin.close()
        assert process.wait(10) == 0
