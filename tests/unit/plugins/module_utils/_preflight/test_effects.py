"""What has no effect on a host, by what a process there has got of it."""

import json
import subprocess
import sys

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import transient
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


def found(instance, cgroup=2, files=None, own_namespaces=(), filters=3, **facts):
    """The sentences about a service on a host; by default, all has its effect there."""
    outside = {
        "namespaces": {kind: f"{kind}:[1]" for kind in NAMESPACES},
        "status": {"Seccomp": 2, "Seccomp_filters": 1},
        "nr_open": 1000000,
        "limits": {"NOFILE": [1024, 30000]},
    }
    inside = {
        "cgroup": cgroup,
        "files": V2 if files is None else files,
        "namespaces": {kind: f"{kind}:[{1 if kind in own_namespaces else 2}]" for kind in NAMESPACES},
        "status": {"Seccomp": 2, "Seccomp_filters": filters},
        "limits": {"CORE": [0, 0], "NICE": [0, 0], "MEMLOCK": [8192, 8192], "NOFILE": [20000, 20000]},
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
            {"limits": {"NOFILE": [1000000, 1000000]}},
            {"sandbox": {"LimitNOFILE": 2000000}},
            "sandbox: LimitNOFILE 2000000 will have no effect: on this host, its processes have 1000000. The kernel",
        ),
        ({}, {"sandbox": {"LimitNOFILE": "20000:infinity"}}, "sandbox: LimitNOFILE 20000:infinity will have no effect"),
        ({}, {"sandbox": {"LimitMEMLOCK": "infinity"}}, "sandbox: LimitMEMLOCK infinity will have no effect"),
        (
            {},
            {"sandbox": {"IPAddressDeny": "any", "IPAddressAllow": "localhost"}},
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
        ({}, {"LimitNICE": "-5"}),
        ({"limits": {"NOFILE": [30000, 30000]}}, {"LimitNOFILE": "infinity"}),  # the container's highest
        ({"limits": {"NOFILE": [1000000, 1000000]}}, {"LimitNOFILE": "infinity"}),  # the kernel's
        ({"limits": {"MEMLOCK": [-1, -1]}}, {"LimitMEMLOCK": "infinity"}),
        ({"local": False}, {"IPAddressDeny": "any"}),
        ({"local": None}, {"IPAddressDeny": "any"}),
        ({}, {"IPAddressDeny": "", "IPAddressAllow": "localhost"}),
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


def test_no_directive_has_the_process_run_what_the_application_can_write():
    names = ("BindPaths", "BindReadOnlyPaths", "RootDirectory", "RootImage", "ExtensionDirectories", "Environment")
    others = ("PAMName", "LoadCredential", "IPIngressFilterPath", "WorkingDirectory", "TemporaryFileSystem")
    paths = dict.fromkeys((*names, *others, "ReadOnlyPaths"), "/srv/shop/lib:/usr/lib/python3/dist-packages")
    asked = effects.properties({**worker(), "sandbox": paths})
    assert asked == ["OOMPolicy=continue", "PrivateMounts=yes"]


def test_an_address_is_denied_without_the_services_exceptions():
    sandbox = {"IPAddressDeny": "10.0.0.0/8", "IPAddressAllow": "localhost"}
    assert "IPAddressDeny=any" in effects.properties({**worker(), "sandbox": sandbox})
    assert "IPAddressAllow" not in str(effects.properties({**worker(), "sandbox": sandbox}))


@pytest.fixture
def asked(monkeypatch):
    """Has the process end as said; returns what is asked of systemd."""

    def answer(outcome="exit-code", **ended):
        arguments = []
        result = transient.Result(**{"unit": "x", "status": 1, "output": "", "error": "", "outcome": outcome, **ended})
        monkeypatch.setattr(effects.transient, "run", lambda *said: arguments.append(said) or result)
        return arguments

    return answer


def test_services_of_which_the_same_is_asked_share_an_answer(asked):
    runs = asked(error="no bus", outcome="")
    others = [worker(name="x", memory_max="2G", user="other"), worker(name="y", oom_policy="kill")]
    effects.without_effect([worker(memory_max="1G"), *others, worker(name="z", memory_max="3G")])
    assert len(runs) == 3, "two, and a process without directives"
    assert runs[0][2] == []


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        ({"outcome": "", "error": "Failed to connect to bus: no bus"}, "Failed to connect to bus: no bus."),
        ({"outcome": "signal", "signal": "SYS"}, "signal SYS."),
        (
            {"error": "Traceback (most recent call last):\n  File x\nPermissionError: no /proc"},
            "PermissionError: no /proc.",
        ),
        ({"outcome": "success", "status": 0, "output": "{}"}, "it ended with exit code 0."),
        ({"outcome": "success", "status": 0, "output": "[" * 100000}, "it ended with exit code 0."),
        ({"outcome": "success", "status": 0, "output": '{"files": 3, "cgroup": "x"}'}, "it ended with exit code 0."),
    ],
)
def test_without_an_answer_one_sentence_says_why(asked, ended, why):
    asked(**ended)
    (sentence,) = effects.without_effect([worker()])["w"]
    assert sentence.startswith("it could not be checked which limits and sandbox directives have an effect on this")
    assert sentence.endswith(f"gave no answer: {why}")


def test_the_program_tells_what_a_process_has():
    said = json.loads(subprocess.check_output([sys.executable, "-I", effects_program.__file__]))
    assert {*said["namespaces"]} == {*NAMESPACES}
    assert said["limits"]["NOFILE"] == [*effects_program.look()["limits"]["NOFILE"]]
