"""No unit holds a run for ever: deadlines, then SIGKILL. A simulated systemd."""

from dataclasses import dataclass, field

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import systemd
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy import units

NAMES = ["w", "before-w"]


@dataclass
class Systemd:
    """A service that clings to a state until it is killed, or for ever."""

    state: str = "active"
    ends: bool = True  # when it is killed
    calls: list = field(default_factory=list)
    timeouts: list = field(default_factory=list)

    def run(self, _systemctl, verb, *options, timeout=0):
        self.calls.append(verb)
        self.timeouts.append(timeout)
        if verb == "kill":
            assert options[0] == "--signal=KILL"
            self.state = "active" if self.ends else self.state
        elif self.state != "active":
            raise systemd.LateError(f"{verb} had not ended")
        return ""

    def look(self, names):
        return {name: systemd.Unit("loaded", self.state, "", "", "", (), 90.0, 5.0) for name in names}


@pytest.fixture
def simulate(monkeypatch):
    def run(**options):
        simulated = Systemd(**options)
        monkeypatch.setattr(systemd, "run", simulated.run)
        monkeypatch.setattr(systemd, "look", simulated.look)
        return simulated

    return run


def test_what_ends_in_time_is_not_killed(simulate):
    simulated = simulate()
    units.restart(NAMES, pytest.fail)
    units.stop(NAMES, pytest.fail)
    assert simulated.calls == ["restart", "stop"]
    assert simulated.timeouts == [5 + units.MARGIN] * 2


@pytest.mark.parametrize(("verb", "act"), [("stop", units.stop), ("restart", units.restart)])
def test_a_stop_that_does_not_end_is_ended_by_sigkill_and_that_is_said(simulate, verb, act):
    simulated, warnings = simulate(state="deactivating"), []
    act(NAMES, warnings.append)
    # `start` waits for the restart that is under way, and does not stop the service again.
    assert simulated.calls == [verb, "kill", {"restart": "start"}.get(verb, verb)]
    (warning,) = warnings
    assert "w had not stopped after 35 s, so its processes were killed." in warning


@pytest.mark.parametrize("act", [units.stop, units.restart])
def test_a_process_that_survives_sigkill_ends_the_run_with_an_error(simulate, act):
    simulated = simulate(state="deactivating", ends=False)
    with pytest.raises(systemd.LateError):
        act(NAMES, lambda _: None)
    assert all(0 <= timeout < systemd.A_DAY for timeout in simulated.timeouts)


def test_a_start_that_does_not_end_is_an_error_and_is_killed(simulate):
    simulated = simulate(state="activating", ends=False)
    with pytest.raises(systemd.LateError):
        units.restart(NAMES, pytest.fail)
    assert simulated.calls == ["restart", "start", "kill"]
    assert simulated.timeouts[:2] == [5 + units.MARGIN, 90 * len(NAMES) + units.MARGIN]


def test_a_unit_that_is_not_loaded_is_not_stopped(simulate, monkeypatch):
    simulate()
    stopped = []
    monkeypatch.setattr(systemd, "run", lambda *command, timeout: stopped.append(command))
    missing = systemd.Unit("not-found", "inactive", "", "", "", ())
    look = systemd.look
    monkeypatch.setattr(systemd, "look", lambda names: {**look(names), "before-w": missing})
    units.stop(NAMES, pytest.fail)
    assert stopped == [("systemctl", "stop", "w.service")]


def test_the_service_itself_is_the_first_of_its_units():
    paths = ["/etc/systemd/system/before-w.service", "/etc/evenkeel/w.env", "/etc/systemd/system/w.service"]
    assert units.of("w", paths) == NAMES
    assert units.of("shop@1.x", []) == ["shop@1.x"]
