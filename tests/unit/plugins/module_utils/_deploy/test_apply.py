"""Changes are made as a whole or not at all, even if a run is killed at any step. Real files, a simulated systemd."""

import errno
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import files, paths, systemd
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy import apply, deployment, store
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy.plan import (
    plan_absent,
    plan_original,
    plan_present,
    plan_previous,
    plan_project,
    plan_restart,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.kinds import KINDS
from workers import PROGRAMS, worker

BY_HAND = "[Service]\nExecStart=/usr/bin/celery -A shop worker\n"
WORKER = KINDS["worker"]
STAY_UP = {"w": 0.001}
OWNER = store.Owner("worker", "shop")
FIRST, SECOND = {"concurrency": 1}, {"concurrency": 2}
BAD, FALLING = {"description": "does not start"}, {"description": "starts and crashes"}


class Killed(BaseException):
    """Simulates `kill -9`: no handler for Exception catches it."""


@dataclass
class Host:
    """A simulated systemd with one service."""

    unit: Path
    loaded: str = ""
    running: str = ""  # the text of the unit that runs
    failed: bool = False
    stopped_by: str = ""  # the text of the unit whose ExecStop= ended what ran last
    runs: int = 0
    enabled: bool = False
    steps: int = 0
    killed_at: int = 0
    written: int = 0
    full_at: int = 0

    def step(self, what):
        self.steps += 1
        if 0 < self.killed_at <= self.steps:  # not even what cleans up is executed
            raise Killed(what)

    def write(self, what):
        self.written += 1
        if 0 < self.full_at <= self.written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.step(what)

    def run(self, *command, timeout=0):
        assert timeout >= 0
        self.step(command)
        if command[1] == "daemon-reload":
            self.loaded = self.unit.read_text() if self.unit.exists() else ""
        elif command[1] == "stop":
            self.stopped_by, self.running = self.loaded, ""
        elif command[1] in ("enable", "disable"):
            if command[1] == "enable" and not self.unit.exists():
                raise systemd.SystemdError("Failed to enable unit.")
            self.enabled = command[1] == "enable"
        elif command[1] == "restart":
            self.runs += 1
            self.stopped_by = self.loaded if self.running else self.stopped_by
            self.running = "" if BAD["description"] in self.loaded else self.loaded
            self.failed = not self.running
            if self.failed:
                raise systemd.SystemdError("Job failed.")
        return ""

    def look(self, names):
        if FALLING["description"] in self.running:
            self.runs += 1
        state = "active" if self.running else "failed" if self.failed else "inactive"
        exists = "loaded" if self.unit.exists() else "not-found"
        enabled = "enabled" if self.enabled else "disabled"
        return {name: systemd.Unit(exists, state, enabled, str(self.unit), str(self.runs), ()) for name in names}


@pytest.fixture
def host(tmp_path, monkeypatch):
    return new_host(tmp_path, monkeypatch)


def new_host(tmp_path, monkeypatch):
    for name in ("UNITS", "CONFIGURATION", "PROGRAMS", "LOGROTATE"):
        monkeypatch.setattr(paths, name, str(tmp_path / name))
    monkeypatch.setattr(store, "STORE", tmp_path / "services")
    monkeypatch.setattr(store, "FORMER_STORE", tmp_path / "workers")
    monkeypatch.setattr(deployment, "LOOK_EVERY", 0)
    host = Host(tmp_path / "UNITS" / "w.service")
    for name in ("run", "look"):
        monkeypatch.setattr(systemd, name, getattr(host, name))
    monkeypatch.setattr(systemd, "journal", lambda _: ["the last lines"])

    def counted(count, step):
        def run(*arguments, **options):
            count(arguments)
            return step(*arguments, **options)

        return run

    for name in ("rename", "unlink"):
        monkeypatch.setattr(os, name, counted(host.step, getattr(os, name)))
    for module, name in ((os, "mkdir"), (files, "_write_new")):
        monkeypatch.setattr(module, name, counted(host.write, getattr(module, name)))
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return host


def wanted_files(**options):
    return WORKER.files(worker(**options), PROGRAMS)


def find(*names):
    return apply.find({name: WORKER.paths(name) for name in names or ["w"]})


def carry_out(changes, found, warn=print):
    apply.carry_out(changes, found, OWNER, warn)


def plan(options):
    return plan_present({"w": wanted_files(**options)}, find(), STAY_UP)


def deploy(options):
    carry_out(plan(options), find())


def runs(host, options):
    """The worker runs with these options, its files are in place, and no generation is pending."""
    found = find()["w"]
    is_current = found.files == wanted_files(**options) and not found.state.pending
    return is_current and host.running == host.unit.read_text()


def write_by_hand(host):
    host.unit.parent.mkdir(parents=True)
    host.unit.write_text(BY_HAND)
    host.loaded = host.running = BY_HAND


def test_a_generation_that_does_not_start_is_rolled_back(host):
    deploy(FIRST)
    with pytest.raises(apply.NotUpError, match=r"(?s)did not start: Job failed.*rolled back and runs.*the last lines"):
        deploy(BAD)
    assert runs(host, FIRST)


def test_the_original_unit_stops_nothing(host):
    """Its ExecStop= may end other workers, too: `celery control shutdown` does."""
    write_by_hand(host)
    deploy(FIRST)
    ours = host.loaded
    assert host.stopped_by == ours
    with pytest.raises(apply.NotUpError):
        deploy(BAD)
    carry_out(plan_original(["w"], find()), find())
    assert (host.running, host.stopped_by) == (BY_HAND, ours)


def test_a_first_generation_that_does_not_stay_up_is_stopped_by_itself(host):
    write_by_hand(host)
    with pytest.raises(apply.NotUpError):
        deploy(FALLING)
    assert host.running == BY_HAND
    assert FALLING["description"] in host.stopped_by


def test_a_generation_that_does_not_stay_up_is_rolled_back(host):
    deploy(FIRST)
    with pytest.raises(apply.NotUpError, match="did not stay up for"):
        deploy(FALLING)
    assert runs(host, FIRST)


def test_a_new_service_that_does_not_start_leaves_nothing(host):
    with pytest.raises(apply.NotUpError, match=r"It was rolled back\. It did not run before\."):
        deploy(BAD)
    assert not find()["w"].files
    assert not find()["w"].state.pending
    assert not host.enabled


def test_a_file_that_is_no_longer_wanted_is_removed_and_a_rollback_brings_it_back(host):
    configuration = Path(paths.logrotate_path("w"))
    deploy({**FIRST, "log_file": True})
    assert configuration.exists()
    deploy(FIRST)
    assert not configuration.exists()
    assert runs(host, FIRST)
    carry_out(plan_previous(["w"], find(), STAY_UP), find())
    assert configuration.exists()
    assert runs(host, {**FIRST, "log_file": True})


@pytest.mark.parametrize("bad", [BAD, FALLING])
def test_services_after_one_that_fails_are_not_touched(host, bad):
    wanted = {"w": wanted_files(**bad), "x": wanted_files(name="x")}
    found = find("w", "x")
    with pytest.raises(apply.NotUpError) as failed:
        carry_out(plan_present(wanted, found, {"w": 1.0, "x": 1.0}), found)
    assert failed.value.done == []
    assert not find("x")["x"].files


def test_a_roll_back_that_fails_is_completed_by_the_next_run(host, monkeypatch):
    """As when the host goes down while a run waits for systemd."""
    deploy(FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(systemd, "run", Mock(side_effect=systemd.SystemdError("systemd has ended")))
        with pytest.raises(apply.NotUpError, match="does not start with its previous files either"):
            deploy(SECOND)
    assert store.recall("w").pending
    deploy(SECOND)
    assert runs(host, SECOND)


def restart(code):
    changes, _left_alone = plan_restart(["w"], find(), STAY_UP, {"w": code})
    carry_out(changes, find())


def test_a_restart_runs_what_is_there_and_records_the_code(host):
    deploy(FIRST)
    deploy(SECOND)
    before, starts = store.recall("w"), host.runs
    restart({"/srv/shop": "new"})
    assert host.runs == starts + 1
    assert store.recall("w") == replace(before, code={"/srv/shop": "new"})
    assert runs(host, SECOND)


def test_a_restart_that_fails_says_why_and_does_not_record_the_code(host, monkeypatch):
    """So the next run of either kind tries again."""
    deploy(FIRST)
    before = store.recall("w")
    with monkeypatch.context() as patch:
        patch.setitem(BAD, "description", "[Unit]")
        with pytest.raises(apply.NotUpError, match=r"(?s)did not start: Job failed\..*look at its application.*lines"):
            restart({"/srv/shop": "new"})
    assert store.recall("w") == before
    restart({"/srv/shop": "new"})
    assert runs(host, FIRST)


def test_a_restart_that_is_killed_at_any_step_is_repeated(tmp_path, monkeypatch):
    for step in range(1, 100):
        with monkeypatch.context() as patch:
            host = new_host(tmp_path / str(step), patch)
            deploy(FIRST)
            host.steps, host.killed_at = 0, step
            try:
                restart({"/srv/shop": "new"})
                break
            except Killed:
                pass
            host.killed_at = 0
            restart({"/srv/shop": "new"})
            assert runs(host, FIRST)
            assert store.recall("w").code == {"/srv/shop": "new"}
    assert step > 2


def test_only_the_last_two_generations_are_kept(host):
    for number in range(1, 6):
        deploy({"concurrency": number})
    state = store.recall("w")
    assert set(store.read_generations("w", WORKER.paths("w"))) == {state.current, state.previous}


def test_the_store_of_an_earlier_version_is_taken_over(host):
    deploy(FIRST)
    store.STORE.rename(store.FORMER_STORE)
    state = store.FORMER_STORE / "w" / "state.json"
    former = {"deployed": store.recall("w").current, "previous": None, "trying": None, "went_back": False}
    state.write_text(json.dumps(former))
    assert plan(FIRST) == []
    assert store.known() == {"w": store.Owner("worker", "")}
    with apply.only_one_run():
        assert plan(FIRST) == []
    assert not store.FORMER_STORE.exists()


def test_a_service_belongs_to_the_project_that_deployed_it_last_with_success(host):
    deploy(FIRST)
    other = store.Owner("worker", "other")
    with pytest.raises(apply.NotUpError):
        apply.carry_out(plan(BAD), find(), other, print)
    assert store.owner("w") == OWNER

    found = find()
    assert plan_project(["w"], found, "shop", []) == []
    runs_before = host.runs
    apply.carry_out(plan_project(["w"], found, "other", []), found, other, print)
    assert store.owner("w") == other
    assert runs(host, FIRST)
    assert host.runs == runs_before, "it was restarted"


def test_a_removed_service_leaves_its_name_to_others(host):
    deploy(FIRST)
    assert store.is_there("w")
    carry_out(plan_absent(find()), find())
    assert not store.is_there("w")


def test_a_service_that_was_rolled_back_to_its_original_unit_is_still_the_projects(host):
    write_by_hand(host)
    deploy(FIRST)
    carry_out(plan_original(["w"], find()), find())
    assert store.is_there("w")
    assert store.owner("w") == OWNER


def test_a_second_run_is_refused_while_the_first_is_active(host):
    one, other = apply.only_one_run(), apply.only_one_run()
    with one, pytest.raises(apply.BusyError, match="Another run"), other:
        pass
    with apply.only_one_run():
        pass


# What a run is doing when it is killed: (what ran before, what it deploys).
STORIES = {
    "the first deployment": (None, FIRST),
    "a deployment": (FIRST, SECOND),
    "a deployment that would have been rolled back": (FIRST, BAD),
}


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize(
    "afterwards", ["the same", "the previous one", "a bad one", "roll back", "to the original", "absent"]
)
def test_the_next_run_completes_one_that_was_killed_at_any_step(tmp_path, monkeypatch, story, afterwards):
    before, wanted = STORIES[story]
    last_step = 0
    for step in range(1, 300):
        with monkeypatch.context() as patch:
            host = new_host(tmp_path / str(step), patch)
            write_by_hand(host)
            if before:
                deploy(before)
            host.steps, host.killed_at = 0, step
            try:
                deploy(wanted)
            except Killed:
                last_step = step
            except apply.NotUpError:
                pass
            host.killed_at = 0
            # systemd keeps running, and a host that was rebooted starts the unit that is in place.
            host.run("systemctl", "daemon-reload")
            host.running = "" if BAD["description"] in host.loaded else host.loaded
            _complete(host, before, wanted, afterwards)
        if last_step < step:
            break
    assert last_step > 5


def _complete(host, before, wanted, afterwards):
    good = wanted if wanted is not BAD else (before or FIRST)
    if afterwards == "the same":
        deploy(good)
        assert runs(host, good)
        assert plan(good) == []
    elif afterwards == "the previous one":
        deploy(before or FIRST)
        assert runs(host, before or FIRST)
    elif afterwards == "a bad one":
        with pytest.raises(apply.NotUpError):
            deploy({**BAD, "concurrency": 9})
        # What ran before, or what the killed run had already started.
        assert host.running == BY_HAND or runs(host, before or wanted) or runs(host, wanted)
    else:
        found = find()
        changes = {
            "roll back": lambda: plan_previous(["w"], found, STAY_UP),
            "to the original": lambda: plan_original(["w"], found),
            "absent": lambda: plan_absent(found),
        }[afterwards]()
        carry_out(changes, found)
        if afterwards == "absent":
            assert not host.running or not changes
        elif afterwards == "to the original":
            assert host.running == BY_HAND
        else:
            assert host.running == BY_HAND or runs(host, FIRST)
    assert not store.recall("w").pending


def left_over(tmp_path):
    return list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("story", STORIES)
def test_a_disk_that_is_full_from_any_write_on_leaves_one_generation_whole_and_running(tmp_path, monkeypatch, story):
    before, wanted = STORIES[story]
    for write in range(1, 300):
        with monkeypatch.context() as patch:
            host = new_host(tmp_path / str(write), patch)
            write_by_hand(host)
            if before:
                deploy(before)
            there = find()["w"].files
            host.written, host.full_at = 0, write
            try:
                deploy(wanted)
                outcome = wanted
            except apply.NotUpError as error:
                outcome = None
                assert wanted is BAD or "No space left on device" in str(error)
            ran_out = host.written >= write
            host.full_at = 0
            # It runs, and systemd would start the very same again after a crash.
            assert host.running == host.unit.read_text()
            assert find()["w"].files in (there, wanted_files(**(outcome or wanted)))
            assert not left_over(tmp_path / str(write))
            _complete(host, before, wanted, "the same")
        if not ran_out:
            break
    assert write > 10
