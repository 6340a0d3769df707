"""A host is changed where it differs, and only there."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.files import File
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup import apply, sampler
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.exporters import EXPORTERS

NODE = EXPORTERS["node"]
_VERB = {True: "write", False: "remove"}
TIMER = f"{sampler.UNIT}.timer"


@pytest.fixture
def host(monkeypatch, tmp_path):
    """Makes a host, of which `done` is what was done to it.

    up: units that run, since 2001. fresh: nothing is installed.
    left: by a run that failed. unloaded: units whose files systemd has not read. written: when each file was, in
    seconds since 1970. failed: the sample has.
    """
    done = []

    def make(changed=(), exporters=("node",), leaving=(), up=(), fresh=False, **left):
        unloaded, failed = left.get("unloaded", ()), left.get("failed")

        def run(*command, **_options):
            if command[1] != "show":
                done.append(" ".join(command))
                return ""
            units = [word for word in command[2:] if not word.startswith("--")]
            return "\n\n".join(map(shown, units))

        def shown(unit):
            state = "failed" if failed and unit == f"{sampler.UNIT}.service" else "inactive"
            runs = unit in up
            return "\n".join(
                [
                    f"ActiveState={'active' if runs else state}",
                    f"UnitFileState={'enabled' if runs else ''}",
                    f"NeedDaemonReload={'yes' if unit in unloaded else 'no'}",
                    "DropInPaths=",
                    f"ActiveEnterTimestamp={'Mon 2001-01-01 00:00:00.500000 UTC' if runs else ''}",
                ]
            )

        monkeypatch.setattr(apply.systemd, "run", run)
        monkeypatch.setattr(
            apply.files, "write", lambda path, file: done.append(f"{'write' if file else 'remove'} {path}")
        )
        monkeypatch.setattr(apply, "_remove_empty", lambda directory: None)
        monkeypatch.setattr(apply, "_changed", lambda path: left.get("written", 0))
        monkeypatch.setattr(apply, "_has_user", lambda: not fresh)
        monkeypatch.setattr(apply, "_link", lambda: sampler.METRICS if not fresh and "node" in exporters else None)
        monkeypatch.setattr("shutil.which", lambda name, path: None if fresh else name)
        wanted = {sampler.PROGRAM: File(b"") if exporters else None, NODE.drop_in: File(b"") if exporters else None}
        before = {path: None if path in changed and file else file for path, file in wanted.items()}
        before |= {path: File(b"old") for path in changed if not wanted.get(path)}
        return apply.Host(wanted, before, exporters, leaving)

    make.done = done
    return make


def test_what_is_right_is_left_alone(host):
    right = host(up=(TIMER, NODE.unit))
    assert right.differences() == []
    right.apply()
    assert host.done == []


def test_a_new_host_has_a_user_then_files_then_a_first_sample_then_the_link(host):
    new = host((sampler.PROGRAM, NODE.drop_in), fresh=True)
    assert f"user {sampler.USER}" in new.differences()
    new.link = sampler.METRICS
    new.apply()
    steps = [step.split()[0] + " " + step.split()[-1] for step in host.done]
    assert steps == [
        f"useradd {sampler.USER}",
        f"write {sampler.PROGRAM}",
        f"write {NODE.drop_in}",
        "systemctl daemon-reload",
        f"systemctl {TIMER}",
        f"systemctl {sampler.UNIT}.service",
        f"write {sampler.TEXTFILE}",
    ]


def test_an_exporter_takes_its_new_settings_over(host):
    host((NODE.drop_in,), up=(TIMER, NODE.unit)).apply()
    assert f"systemctl try-restart {NODE.unit}" in host.done


def test_a_stopped_exporter_is_started(host):
    stopped = host(up=(TIMER,))
    assert stopped.differences() == [NODE.unit]
    stopped.apply()
    assert host.done == [f"systemctl enable --now {NODE.unit}"]


IN_2001 = 978307200  # seconds since 1970


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        ({"written": IN_2001 + 1}, ["try-restart " + NODE.unit, "restart " + TIMER]),
        ({"unloaded": [NODE.unit]}, ["daemon-reload", "try-restart " + NODE.unit]),
        ({"unloaded": [TIMER]}, ["daemon-reload", "restart " + TIMER]),
        ({"failed": True}, [f"start {sampler.UNIT}.service"]),
        ({"written": IN_2001}, []),
        ({"written": 2**40}, []),  # the clock was wrong
    ],
)
def test_what_a_run_that_failed_has_left_undone_is_done_by_the_next_one(host, state, steps):
    left = host(up=(TIMER, NODE.unit), **state)
    assert bool(left.differences()) is bool(steps)
    left.apply()
    assert host.done == [f"systemctl {step}" for step in steps]


def test_an_exporter_has_its_new_settings_although_the_sample_fails(host, monkeypatch):
    changed = host((NODE.drop_in,), up=(TIMER, NODE.unit))

    def fail():
        raise apply.systemd.SystemdError("no sample")

    monkeypatch.setattr(apply, "_take_a_sample", fail)
    with pytest.raises(apply.systemd.SystemdError):
        changed.apply()
    assert f"systemctl try-restart {NODE.unit}" in host.done


def test_an_administrators_own_exporter_is_left_alone(host):
    theirs = host(exporters=(), up=(NODE.unit,), unloaded=[NODE.unit])
    assert NODE.unit not in theirs.differences()


def test_an_exporter_that_was_there_before_runs_on_as_it_did(host):
    host((sampler.PROGRAM, NODE.drop_in), exporters=(), up=(TIMER, NODE.unit)).apply()
    assert host.done.index(f"remove {NODE.drop_in}") < host.done.index(f"systemctl try-restart {NODE.unit}")
    assert host.done.index(f"systemctl disable --now {TIMER}") < host.done.index(f"remove {sampler.PROGRAM}")
    assert "systemctl clean --what=state evenkeel-sample.service" in host.done
    assert f"userdel {sampler.USER}" in host.done


def test_an_exporter_whose_package_goes_is_stopped_first(host):
    going = host((sampler.PROGRAM,), exporters=(), leaving=["node"], up=(TIMER, NODE.unit))
    assert NODE.unit in going.differences()
    going.apply()
    assert host.done[0] == f"systemctl disable --now {NODE.unit}"
