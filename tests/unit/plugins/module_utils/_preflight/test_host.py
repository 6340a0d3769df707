"""What the host's kernel does not do for a service."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import host
from workers import worker

LIMITS = {"memory_max": "800M", "memory_high": "600M"}
V2, V2_WITHOUT, V1, V1_WITHOUT = (
    {"cgroup.controllers": "cpu memory pids"},
    {"cgroup.controllers": "cpu pids"},
    {"memory/memory.limit_in_bytes": ""},
    {"memory/x": ""},
)


@pytest.mark.parametrize(
    ("files", "limits", "warning"),
    [
        (V2, LIMITS, None),
        (V2_WITHOUT, LIMITS, "memory_max and memory_high will have no effect, as this host has no memory controller"),
        (V2_WITHOUT, {}, None),
        (V1, LIMITS, "memory_high will have no effect, as this host uses cgroup v1"),
        (V1, {"memory_max": "800M"}, None),
        (V1_WITHOUT, LIMITS, "memory_max and memory_high will have no effect, as this host has no memory controller"),
        ({}, {"memory_swap_max": "0"}, "memory_swap_max will have no effect, as this host has no memory controller"),
    ],
)
def test_a_limit_that_the_kernel_does_not_know_gets_a_warning(tmp_path, monkeypatch, files, limits, warning):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(host, "_CGROUP", tmp_path)
    found = list(host._cgroup_warnings(worker(**limits)))
    assert len(found) == bool(warning)
    assert all(each.startswith(warning) for each in found)
