"""What becomes of a service's notifications in a container, where there is no systemd."""

import importlib.util
import os
import subprocess
import sys

import pytest
from project import PROJECT

FILE = PROJECT / "roles" / "celery_worker" / "files" / "evenkeel_heartbeat.py"
LIMIT = 30


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENKEEL_HEARTBEAT", str(tmp_path / "heartbeat"))
    monkeypatch.setenv("WATCHDOG_USEC", str(LIMIT * 1_000_000))
    return tmp_path / "heartbeat"


@pytest.fixture
def at_fork():
    """The handlers for forks, by their names in os.register_at_fork."""
    return {}


@pytest.fixture
def timer(monkeypatch):
    """The seconds after which faulthandler ends the process; empty: it does not."""
    running = []

    def start(seconds, *, exit, file):
        assert exit
        assert file == 2, "Celery's sys.stderr has no fileno"
        running[:] = [seconds]

    monkeypatch.setattr("faulthandler.dump_traceback_later", start)
    monkeypatch.setattr("faulthandler.cancel_dump_traceback_later", running.clear)
    return running


@pytest.fixture
def load(timer, at_fork, monkeypatch):
    def run():
        monkeypatch.setattr("os.register_at_fork", lambda **moments: at_fork.update(moments))
        spec = importlib.util.spec_from_file_location("evenkeel_heartbeat", FILE)
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return loaded

    return run


def test_the_heartbeat_of_an_earlier_run_is_removed(file, load):
    file.touch()
    load()
    assert not file.exists()


def test_a_service_that_is_not_ready_has_no_heartbeat(file, load, timer):
    load().notify("WATCHDOG=1", "STATUS=starting")
    assert not file.exists()
    assert not timer


def test_each_notification_of_a_ready_service_writes_its_status_and_puts_its_end_off(file, load, timer):
    heartbeat = load()
    heartbeat.notify("READY=1", "STATUS=ready")
    assert file.read_text() == "ready\n"
    assert timer == [LIMIT]
    timer.clear()
    os.utime(file, (0, 0))
    heartbeat.notify("WATCHDOG=1", "STATUS=at work")
    assert file.read_text() == "at work\n"
    assert file.stat().st_mtime
    assert timer == [LIMIT]


def test_a_shutdown_keeps_its_heartbeat_and_is_not_ended(file, load, timer, at_fork):
    heartbeat = load()
    heartbeat.notify("READY=1")
    heartbeat.notify("STOPPING=1", "STATUS=stopping")
    os.utime(file, (0, 0))
    heartbeat.notify("WATCHDOG=1", "STATUS=stopping")
    at_fork["before"]()
    at_fork["after_in_parent"]()
    assert file.stat().st_mtime
    assert not timer


def test_a_sick_service_says_where_it_hangs_and_ends(file, load, monkeypatch, capfd):
    heartbeat, codes = load(), []
    monkeypatch.setattr("os._exit", codes.append)
    heartbeat.notify("READY=1")
    heartbeat.end()
    assert codes == [1]
    assert not file.exists()
    assert "test_a_sick_service_says_where_it_hangs_and_ends" in capfd.readouterr().err


def test_a_request_for_a_restart_ends_the_service(file, load, monkeypatch):
    heartbeat, ended = load(), []
    monkeypatch.setattr(heartbeat, "end", lambda: ended.append(True))
    heartbeat.notify("STATUS=sick: hangs", "WATCHDOG=trigger")
    assert ended


def test_without_a_limit_nothing_is_ended(file, load, timer, monkeypatch):
    monkeypatch.delenv("WATCHDOG_USEC")
    load().notify("READY=1")
    assert file.exists()
    assert not timer


def test_no_timer_runs_while_the_process_forks(file, load, timer, at_fork, monkeypatch):
    heartbeat = load()
    at_fork["before"]()
    at_fork["after_in_parent"]()
    assert not timer, "not ready"
    heartbeat.notify("READY=1")
    at_fork["before"]()
    heartbeat.notify("WATCHDOG=1")
    assert not timer
    at_fork["after_in_parent"]()
    assert timer == [LIMIT]
    at_fork["after_in_child"]()
    assert "EVENKEEL_HEARTBEAT" not in os.environ, "a program that a task starts is not the service"
    monkeypatch.setenv("EVENKEEL_HEARTBEAT", str(file))  # as it was


def test_a_limit_on_threads_does_not_end_the_service(file, load, monkeypatch):
    def start(*_, **__):
        raise RuntimeError("unable to start watchdog thread")

    heartbeat = load()
    monkeypatch.setattr("faulthandler.dump_traceback_later", start)
    heartbeat.notify("READY=1")
    assert file.exists()


def test_a_forked_child_ends(file):
    """It would wait for the timer, a thread that it does not have."""
    program = "import evenkeel_heartbeat, os; evenkeel_heartbeat.notify('READY=1'); os.fork() and os.wait()"
    environment = {**os.environ, "PYTHONPATH": str(FILE.parent)}
    subprocess.run([sys.executable, "-B", "-c", program], env=environment, check=True, timeout=60)


def test_a_heartbeat_that_can_not_be_written_is_said_once(file, load, capfd):
    heartbeat = load()
    heartbeat.notify("READY=1")
    file.unlink()
    file.mkdir()
    heartbeat.notify("WATCHDOG=1")
    heartbeat.notify("WATCHDOG=1")
    assert capfd.readouterr().err.count("can't be written") == 1


def test_a_link_in_the_place_of_the_heartbeat_empties_no_other_file(file, load, tmp_path):
    other = tmp_path / "other"
    other.write_text("kept")
    file.symlink_to(other)
    heartbeat = load()
    assert not file.is_symlink()
    heartbeat.notify("READY=1")
    file.unlink()
    file.symlink_to(other)
    heartbeat.notify("WATCHDOG=1", "STATUS=ready")
    assert other.read_text() == "kept"


def test_a_pipe_in_the_place_of_the_heartbeat_does_not_hold_the_service_up(file, load, capfd):
    heartbeat = load()
    os.mkfifo(file)
    heartbeat.notify("READY=1")
    assert "can't be written" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EVENKEEL_HEARTBEAT", "/nonexistent/heartbeat"),
        ("EVENKEEL_HEARTBEAT", "/"),
        ("WATCHDOG_USEC", "30s"),
        ("WATCHDOG_USEC", "30"),
        ("WATCHDOG_USEC", "-1"),
        ("WATCHDOG_USEC", str(2**64 - 1)),
        ("EVENKEEL_HAND_BACK", "5min"),
        ("EVENKEEL_GRACE", "nan"),
    ],
)
def test_a_wrong_variable_is_refused_in_one_sentence(file, load, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as refused:
        load()
    said = str(refused.value)
    assert said.startswith(f"evenkeel_heartbeat: {name} is {value!r}. Set it to ")
    assert "\n" not in said
