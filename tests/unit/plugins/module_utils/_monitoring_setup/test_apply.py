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
    """Makes a host, of which `done` is what was done to it. up: units that run. fresh: nothing is installed."""
    done = []

    def make(changed=(), exporters=("node",), leaving=(), up=(), fresh=False):
        def run(*command, **_options):
            if command[1] != "show":
                done.append(" ".join(command))
                return ""
            state = {True: "ActiveState=active\nUnitFileState=enabled", False: "ActiveState=inactive\nUnitFileState="}
            return "\n\n".join(state[unit in up] for unit in command[3:])

        monkeypatch.setattr(apply.systemd, "run", run)
        monkeypatch.setattr(
            apply.files, "write", lambda path, file: done.append(f"{'write' if file else 'remove'} {path}")
        )
        monkeypatch.setattr(apply, "_remove_empty", lambda directory: None)
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


@pytest.mark.parametrize(("leaving", "restarts"), [(["node"], False), ([], True)])
def test_an_exporter_whose_package_goes_does_not_listen_elsewhere_until_then(host, leaving, restarts):
    host((sampler.PROGRAM, NODE.drop_in), exporters=(), leaving=leaving, up=(TIMER, NODE.unit)).apply()
    assert f"remove {NODE.drop_in}" in host.done
    assert (f"systemctl try-restart {NODE.unit}" in host.done) is restarts
    assert host.done.index(f"systemctl disable --now {TIMER}") < host.done.index(f"remove {sampler.PROGRAM}")
    assert "systemctl clean --what=state evenkeel-sample.service" in host.done
    assert f"userdel {sampler.USER}" in host.done
