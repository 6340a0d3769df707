"""Two projects on one host: neither play touches what the other one's has deployed."""

import json
import re

import pytest

CONVERGE = "molecule/celery_worker/converge.yml"
ALBUM = {"name": "album", "queues": ["album"], "memory_max": "200M"}
PEAKOPS = {"name": "peakops", "queues": ["peakops"]}


def options(project, *workers, **variables):
    return ("--extra-vars", json.dumps({"evenkeel_project": project, "workers": workers, **variables}))


@pytest.fixture(scope="module", autouse=True)
def both(ansible_playbook):
    """A worker of each project, one after the other."""
    ansible_playbook(CONVERGE, *options("album", ALBUM))
    ansible_playbook(CONVERGE, *options("peakops", PEAKOPS))


@pytest.fixture
def runs(server):
    return lambda *names: [(run.id, run.state) for run in map(server.run_of, names)]


def test_both_run(show):
    for name in ("album", "peakops"):
        assert show(name, "ActiveState") == {"ActiveState": "active"}


def test_a_name_of_another_project_is_refused(ansible_playbook, runs):
    before = runs("album", "peakops")
    with pytest.raises(
        AssertionError, match="album: name 'album' is that of a service of project 'album' on this host"
    ):
        ansible_playbook(CONVERGE, *options("peakops", {**ALBUM, "concurrency": 2}))
    assert runs("album", "peakops") == before


def test_the_budget_has_the_other_projects_services(host, ansible_playbook, runs):
    before = runs("album", "peakops")
    kib = int(re.search(r"MemTotal: +(\d+)", host.file("/proc/meminfo").content_string)[1])
    all_but_100_mib = f"{kib // 1024 - 512 - 100}M"
    with pytest.raises(AssertionError, match=r"album \(a worker of project 'album'\) +200M"):
        ansible_playbook(CONVERGE, *options("peakops", {**PEAKOPS, "memory_max": all_but_100_mib}))
    assert runs("album", "peakops") == before


def test_a_service_is_taken_over_as_it_runs_and_removed_with_its_new_project(host, ansible_playbook, runs, show):
    before = runs("album", "peakops")
    taken = options("peakops", PEAKOPS, ALBUM, evenkeel_take_over=["album"])
    assert ansible_playbook(CONVERGE, *taken)["changed"] == 1
    assert runs("album", "peakops") == before
    assert not ansible_playbook(CONVERGE, *taken)["changed"]

    # A play without a project's name, of another application.
    host.check_output("cp -r /opt/slideshow/backend /opt/another")
    another = {"name": "another", "queues": ["another"], "directory": "/opt/another"}
    ansible_playbook(CONVERGE, *options("", another))
    assert runs("album", "peakops") == before

    ansible_playbook(CONVERGE, *options("peakops", state="absent"))
    for name in ("album", "peakops"):
        assert show(name, "LoadState") == {"LoadState": "not-found"}
    assert show("another", "ActiveState") == {"ActiveState": "active"}


def test_without_projects_another_inventorys_worker_is_left_alone_with_a_warning(ansible_output, runs):
    before = runs("another")
    output = " ".join(ansible_output(CONVERGE, *options("", PEAKOPS)).split())
    assert "another (celery_app in /opt/another) is left as it is: a play without a project deployed it" in output
    assert runs("another") == before
