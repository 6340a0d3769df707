"""What has no effect on a host, by what a process there has got of it."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import effects, effects_program
from workers import beat, worker

MEMORY = {"memory_max": "800M", "memory_high": "600M", "memory_swap_max": "0"}
V2 = {
    "memory.max": "536870912",
    "memory.high": "536870912",
    "memory.swap.max": "536870912",
    "memory.events": "low 0",
    "memory.oom.group": "1",
    "pids.max": "50",
}
V1 = {"memory.limit_in_bytes": "536870912", "pids.max": "50"}
NAMESPACES = ("ipc", "mnt", "net", "user", "uts")


def without(files, *names):
    return {name: value for name, value in files.items() if name not in names}


def found(instance, cgroup=2, files=V2, own_namespaces=(), filters=3, **facts):
    """The sentences about a service on a host; by default, all has its effect there."""
    outside = {
        "namespaces": {kind: f"{kind}:[1]" for kind in NAMESPACES},
        "status": {"Seccomp": 2, "Seccomp_filters": 1},
    }
    inside = {
        "cgroup": cgroup,
        "files": files,
        "namespaces": {kind: f"{kind}:[{1 if kind in own_namespaces else 2}]" for kind in NAMESPACES},
        "status": {"Seccomp": 2, "Seccomp_filters": filters},
        "limits": {"CORE": [0, 0], "NOFILE": [20000, 20000]},
        "nice": 0,
        "oom_score_adj": 0,
        "local": True,
        **facts,
    }
    return list(effects.sentences(instance, inside, outside))


def test_nothing_is_said_of_what_has_its_effect():
    wished = {"sandbox": {**worker()["sandbox"], "PrivateNetwork": True, "TasksMax": 50, "LimitNOFILE": "20000:20000"}}
    assert found(worker(**MEMORY, oom_policy="kill", oom_score_adj=0, **wished)) == []
    assert found(beat()) == []


@pytest.mark.parametrize(
    ("host", "options", "sentence"),
    [
        (
            {"cgroup": 1, "files": V1},
            {**MEMORY, "oom_policy": "kill"},
            "memory_high, memory_swap_max and oom_policy kill will have no effect, as this host uses cgroup v1.",
        ),
        ({"cgroup": 1, "files": V1}, {"oom_policy": "stop"}, "oom_policy stop will have no effect, as this host uses"),
        (
            {"files": {"pids.max": "50"}},
            MEMORY,
            "memory_max, memory_high and memory_swap_max will have no effect, as this host's services have no",
        ),
        (
            {"cgroup": 1, "files": {}},
            {"memory_max": "1G"},
            "memory_max will have no effect, as this host's services have no memory",
        ),
        (
            {"files": without(V2, "memory.swap.max")},
            MEMORY,
            "memory_swap_max will have no effect, as this host's kernel does not limit it. Write swapaccount=1",
        ),
        (
            {"files": {**V2, "memory.max": "max"}},
            MEMORY,
            "memory_max will have no effect, as this host's kernel does not limit it.",
        ),
        ({}, {"oom_score_adj": -500}, "oom_score_adj -500 will have no effect: on this host, its processes have 0."),
        (
            {"own_namespaces": NAMESPACES},
            {},
            "the sandbox has no effect, as systemd can't set it up on this host: tasks can write wherever user celery",
        ),
        ({"own_namespaces": ["uts"]}, {}, "sandbox: ProtectHostname will have no effect, as systemd can't make a"),
        ({"filters": 1}, {}, "sandbox: SystemCallFilter, SystemCallArchitectures, RestrictAddressFamilies,"),
        (
            {"own_namespaces": ["net"]},
            {"sandbox": {"PrivateNetwork": True}},
            "sandbox: PrivateNetwork will have no effect, as systemd can't make a namespace for it on this host.",
        ),
        (
            {"files": without(V2, "pids.max")},
            {"sandbox": {"TasksMax": 50, "CPUQuota": "50%", "IOWeight": 20, "AllowedCPUs": 0}},
            "sandbox: TasksMax, CPUQuota, IOWeight and AllowedCPUs will have no effect, as the services of",
        ),
        ({}, {"sandbox": {"Nice": -5}}, "sandbox: Nice -5 will have no effect: on this host, its processes have 0."),
        ({}, {"sandbox": {"LimitNOFILE": 99999}}, "sandbox: LimitNOFILE 99999 will have no effect: on this host, its"),
        (
            {},
            {"sandbox": {"IPAddressDeny": "any"}},
            "sandbox: IPAddressDeny will have no effect, as systemd can't filt",
        ),
    ],
)
def test_what_has_no_effect_is_said_with_the_reason(host, options, sentence):
    said = found(worker(**options), **host)
    assert said
    assert any(each.startswith(sentence) for each in said), said
    assert len(said) == 1


@pytest.mark.parametrize(
    ("facts", "sandbox"),
    [
        ({}, {"TasksMax": "infinity"}),
        ({}, {"PrivateNetwork": False}),
        ({}, {"LimitNOFILE": "20K"}),  # not understood, so nothing is said of it
        ({"local": False}, {"IPAddressDeny": "any"}),
        ({"local": None}, {"IPAddressDeny": "any"}),
        ({}, {"IPAddressDeny": "any", "IPAddressAllow": "localhost"}),
    ],
)
def test_nothing_is_guessed(facts, sandbox):
    assert found(worker(sandbox=sandbox), **facts) == []


def test_the_process_gets_the_directives_and_limits_with_which_it_can_answer():
    options = {"memory_max": "10M", "memory_high": "5M", "oom_score_adj": -5, "oom_policy": "kill"}
    service = {**worker(**options), "sandbox": {"PrivateTmp": True, "ProtectHome": False, "TasksMax": 3}}
    asked = [
        *("MemoryHigh=512M", "MemoryMax=512M", "OOMPolicy=kill"),
        *("OOMScoreAdjust=-5", "PrivateTmp=yes", "TasksMax=3"),
    ]
    assert sorted(effects.properties(service)) == asked


def test_services_that_ask_the_same_share_an_answer(monkeypatch):
    asked = []
    answer = SimpleNamespace(output="", error="no bus", outcome="", status=1)
    monkeypatch.setattr(effects.transient, "run", lambda *arguments: asked.append(arguments) or answer)
    said = effects.without_effect([worker(), worker(name="x"), worker(name="y", oom_policy="kill")])
    assert len(asked) == 2
    assert {*map(tuple, said.values())} == {
        ("it could not be checked which limits and sandbox directives have an effect on this host: no bus.",)
    }


def test_the_program_tells_what_a_process_has():
    said = json.loads(subprocess.check_output([sys.executable, "-I", effects_program.__file__]))
    assert {*said["namespaces"]} == {*NAMESPACES}
    assert said["limits"]["NOFILE"] == [*effects_program.look()["limits"]["NOFILE"]]
