"""How services are, by what systemd and the control groups of two versions say."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import systemd
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import unit_state
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.unit_state import Memory, look

RUNNING = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Type": "notify",
    "StatusText": "ready; 2 running, 5 taken, 47 started in all",
    "ControlGroup": "/system.slice/w.service",
    "MemoryMax": "209715200",
    "MemoryHigh": "infinity",
    "MemoryPeak": "18446744073709551615",
    "NRestarts": "3",
    "WatchdogUSec": "30s",
    "UnitFileState": "enabled",
    "ActiveEnterTimestampMonotonic": "1000000",
}


@pytest.fixture
def state(monkeypatch, tmp_path):
    """The state of a service with these properties beside those of one that runs."""
    monkeypatch.setattr(unit_state, "_CGROUPS", tmp_path)

    def found(**properties):
        block = "".join(f"{name}={value}\n" for name, value in {**RUNNING, **properties}.items())
        monkeypatch.setattr(systemd, "run", lambda *command: f"{block}\n{block}")
        return look(["w", "x"])["w"]

    return found


def test_a_worker_that_runs(state):
    found = state()
    assert (found.state, found.says.running, found.says.taken, found.says.started) == ("ready", 2, 5, 47)
    assert (found.enabled, found.watchdog, found.restarts) == (True, "30s", 3)
    assert found.since is not None
    assert (found.memory.max, found.memory.high, found.memory.working) == (209715200, None, None)


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ({"LoadState": "not-found", "ActiveState": "inactive"}, "missing"),
        ({"LoadState": "masked", "ActiveState": "inactive"}, "missing"),
        ({"LoadState": ""}, "unknown"),
        ({"ActiveState": "failed", "SubState": "failed"}, "failed"),
        ({"ActiveState": "inactive", "SubState": "dead"}, "stopped"),
        ({"ActiveState": "inactive", "SubState": "dead", "Job": "4711"}, "starting"),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, "starting"),
        ({"ActiveState": "activating", "SubState": "start", "StatusText": ""}, "starting"),
        (
            {
                "ActiveState": "activating",
                "SubState": "start",
                "StatusText": "sending nothing, as another beat of this application holds the lock: x; 0 tasks sent",
            },
            "standby",
        ),
        ({"StatusText": "disconnected for 9 s; 0 running, 0 taken, 1 started in all"}, "disconnected"),
        ({"StatusText": "sick: the loop"}, "hung"),
        ({"ActiveState": "deactivating", "SubState": "stop-watchdog", "StatusText": "sick: the loop"}, "hung"),
        ({"ActiveState": "deactivating", "SubState": "stop-sigterm", "StatusText": "stopping"}, "stopping"),
        ({"StatusText": ""}, "ready"),
        ({"StatusText": "Processing requests", "Type": "simple"}, "running"),
        ({"ActiveState": "reloading", "StatusText": "", "Type": "simple"}, "running"),
        ({"ActiveState": "maintenance", "SubState": "maintenance", "StatusText": ""}, "unknown"),
    ],
)
def test_each_state_has_a_word(state, properties, word):
    assert state(**properties).state == word


@pytest.mark.parametrize(
    ("active", "sub"), [("inactive", "dead"), ("failed", "failed"), ("activating", "auto-restart")]
)
def test_what_a_past_run_said_no_longer_counts(state, active, sub):
    found = state(ActiveState=active, SubState=sub)
    assert (found.status, found.says.running) == ("", None)


def write(directory, **files):
    directory.mkdir(parents=True)
    for name, content in files.items():
        (directory / name.replace("__", ".")).write_text(f"{content}\n", encoding="ascii")


def test_memory_with_control_groups_v1(state, tmp_path):
    write(
        tmp_path / "memory/system.slice/w.service",
        memory__usage_in_bytes=1000,
        memory__max_usage_in_bytes=1500,
        memory__stat="cache 10\ntotal_inactive_file 300\ntotal_swap 40",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2",
    )
    assert state().memory == Memory(700, 1500, 40, 2, 209715200, None, 1)


def test_memory_with_control_groups_v2(state, tmp_path):
    group = tmp_path / "system.slice/w.service"
    write(
        group,
        memory__current=1000,
        memory__peak=1500,
        memory__stat="anon 10\ninactive_file 300",
        memory__swap__current=40,
        memory__events="low 0\noom 1\noom_kill 2",
    )
    (tmp_path / "cgroup.controllers").touch()
    assert state().memory == Memory(700, 1500, 40, 2, 209715200, None, 2)
    (group / "memory.peak").unlink()
    assert state(MemoryPeak="1400").memory.peak == 1400
    assert state().memory.peak is None


def test_a_service_that_has_just_ended_has_no_memory(state, tmp_path):
    (tmp_path / "cgroup.controllers").touch()
    assert state().memory == Memory(max=209715200, cgroup=2)
