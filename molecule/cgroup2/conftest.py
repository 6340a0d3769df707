"""What cgroup v2 and the result backend tell of a worker and its tasks."""

import json

import pytest


@pytest.fixture
def memory(server):
    """What a file of a worker's control group says: memory("stop", "high"), or of one with several lines, each."""

    def read(worker, name):
        group = server.show(worker, "ControlGroup")["ControlGroup"]
        text = server.check_output(f"cat /sys/fs/cgroup{group}/memory.{name}")
        pairs = [line.split() for line in text.splitlines()]
        return int(text) if len(pairs) == 1 else {key: int(value) for key, value in pairs}

    return read


@pytest.fixture
def failure(server):
    """Waits for the error that a task has as its result."""

    def read(task):
        result = json.loads(server.check_output("redis-cli -p 6380 -n 1 get celery-task-meta-%s", task) or "{}")
        return result["result"]["exc_type"] if result.get("status") == "FAILURE" else None

    return lambda task: server.wait_for(lambda: read(task), f"the failure of {task}")
