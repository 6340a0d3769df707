"""A beat loses no tick and sends none twice, whatever happens to it, its broker and its files."""

import pytest

WATCHDOG, ABORT_TIMEOUT, RESTART_SEC = 10, 10, 1  # seconds; converge.yml, TimeoutAbortSec=


@pytest.mark.parametrize("beat", ["broker-stopped", "broker-frozen"])
def test_a_tick_that_is_due_while_the_broker_is_down_is_sent_once_it_answers(minutes, injected, recovered, beat):
    (when,) = minutes(beat)
    assert when >= injected["over"]
    recovered(f"outage: {beat}", when - injected["over"])


@pytest.mark.parametrize("beat", ["broker-stopped", "broker-frozen", "results-stopped", "idle", "locked"])
def test_an_outage_or_a_long_wait_causes_no_restart(injected, beat):
    assert beat in injected["outlived"]


def test_a_beat_that_finds_no_broker_at_its_start_waits_and_says_so(server, injected, sent, wait_for, recovered):
    state, text = injected["waiting"]
    assert state == "activating"
    assert "the broker has not answered" in text or "starting" in text, text
    wait_for(lambda: sent("broker-absent", injected["over"]), "the first task")
    assert server.run_of("broker-absent").state == "active"
    recovered("no broker at the start", sent("broker-absent", injected["over"])[0][1] - injected["over"])


@pytest.mark.parametrize("beat", ["stopped-meanwhile", "killed-meanwhile"])
def test_a_tick_that_waits_for_the_broker_survives_the_end_of_beat(minutes, injected, beat):
    (when,) = minutes(beat)
    assert when >= injected["over"]


def test_a_result_backend_that_is_down_delays_nothing(minutes, injected, server):
    (when,) = minutes("results-stopped")
    assert "Message Error" not in server.journal("results-stopped")
    assert when < injected["over"]


def test_a_beat_that_hangs_is_restarted_and_makes_up_for_the_tick(server, injected, minutes, recovered):
    run = server.next_run("hung", injected["runs"]["hung"])
    recovered("hang", run.ready - injected["hung"])
    assert run.began - injected["hung"] <= WATCHDOG + WATCHDOG / 4 + ABORT_TIMEOUT + RESTART_SEC + run.slowness
    assert len(minutes("hung")) == 1


def test_a_beat_whose_connection_is_half_open_is_restarted_and_sends_again(server, injected, sent, wait_for, recovered):
    run = server.next_run("half-open", injected["runs"]["half-open"])
    wait_for(lambda: sent("half-open", run.began), "the next task")
    assert "evenkeel_beat: asking systemd for a restart: a tick has taken" in server.journal("half-open")
    recovered("half-open connection", sent("half-open", run.began)[0][1] - injected["half_open"])


def test_a_beat_that_is_killed_after_a_tick_does_not_send_it_again(server, injected, minutes):
    (when,) = minutes("killed")
    assert when < injected["killed"]
    assert server.run_of("killed").id != injected["runs"]["killed"]


def test_a_damaged_schedule_is_set_aside_and_a_new_one_begins(server, injected, sent, wait_for):
    wait_for(lambda: sent("damaged", injected["half_open"]), "the next task")
    assert "a new one begins" in server.journal("damaged")
    assert server.host.file("/var/lib/evenkeel/beat/damaged/schedule.pickle.broken").size == 500


def test_a_clock_that_was_ahead_silences_nothing(server, injected, minutes):
    assert len(minutes("ahead")) == 1
    assert "a time to come: it counts as sent now" in server.journal("ahead")


def test_a_beat_with_another_scheduler_is_ready_and_sends(server, sent, wait_for):
    for beat in ("database", "redbeat"):
        assert server.run_of(beat).state == "active"
        wait_for(lambda beat=beat: sent(beat), f"a task of {beat}")


def test_a_beat_waits_for_its_database(server, wait_for):
    """A table that is missing is to Django the same error as a server that does not answer."""
    server.check_output("systemctl stop database && mv /opt/shop/data/database.sqlite3 /opt/shop/data/moved")
    try:
        server.check_output("systemctl start --no-block database")
        wait_for(lambda: "can't be reached" in server.show("database", "StatusText")["StatusText"], "the wait")
    finally:
        server.check_output(
            "rm -f /opt/shop/data/database.sqlite3 && mv /opt/shop/data/moved /opt/shop/data/database.sqlite3"
        )
    wait_for(lambda: server.run_of("database").state == "active", "the database's beat")


def test_only_one_of_two_beats_with_the_lock_sends(server, sent, wait_for):
    """The second one is of the same application, started by hand; it takes over once the first has ended."""
    environment = {
        **{"EVENKEEL_LOCK": "1", "QUEUE": "locked", "BROKER": "redis://127.0.0.1:6386/0"},
        "PYTHONPATH": "/usr/local/lib/evenkeel/locked",
    }
    second = [
        *("systemd-run", "--unit=second", "--uid=shop", "--working-directory=/opt/shop"),
        *(f"--setenv={name}={value}" for name, value in environment.items()),
        *("/opt/shop/venv/bin/celery", "-A", "clock", "beat", "--loglevel=info"),
        *("--scheduler=evenkeel_beat:scheduler", "--schedule=/opt/shop/data/second"),
    ]
    server.check_output(" ".join(second))
    try:
        wait_for(lambda: "holds the lock" in server.journal("second"), "the second one to wait")
        begun = server.now()
        wait_for(lambda: len(sent("locked", begun)) > 1, "tasks of the first")
        assert "Sending due task" not in server.journal("second")
        server.check_output("systemctl stop locked")
        wait_for(lambda: "Sending due task" in server.journal("second"), "the second one to take over")
    finally:
        server.check_output("systemctl stop second; systemctl start --no-block locked")
    wait_for(lambda: server.run_of("locked").state == "active", "the first one to return")


def test_the_sandbox_leaves_little(server):
    exposure = server.check_output("systemd-analyze security --no-pager idle | tail -1")
    assert float(exposure.split("service:")[1].split()[0]) <= 1.3, exposure
