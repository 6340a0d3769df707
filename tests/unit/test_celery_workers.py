"""Plans: what has to change, whatever is found."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_unit import MARKER, unit_path
from ansible_collections.evenkeel.celery.plugins.module_utils.celery_workers import (
    UNFINISHED,
    File,
    Found,
    Original,
    PlanError,
    describe,
    generation,
    plan_absent,
    plan_original,
    plan_present,
    wanted_files,
)
from hypothesis import given
from hypothesis import strategies as st
from workers import worker

BY_HAND = File(b"[Service]\nUser=root\n")
NAMES = ("a", "b", "c")
WANTED = {name: wanted_files(worker(name=name, environment={"KEY": "geheim-" + name}), "watchdog") for name in NAMES}


def carried_out(found, change):
    """What a host is like after a change, told by the plan alone."""
    files = {path: file for path, file in {**found.files, **change.files}.items() if file}
    return Found(
        files=files,
        active=change.run,
        ready=change.run,
        enabled=change.enabled,
        elsewhere=found.elsewhere,
        deployed=change.deployed,
        original=change.keep or found.original,
    )


@st.composite
def hosts(draw):
    """Each worker in any state that a host can have it in."""
    host = {}
    for name in NAMES:
        unit = draw(st.sampled_from([None, BY_HAND, File(MARKER.encode()), WANTED[name][unit_path(name)]]))
        others = {path: file for path, file in WANTED[name].items() if path != unit_path(name) and draw(st.booleans())}
        files = {**others, **({unit_path(name): unit} if unit else {})}
        host[name] = Found(
            files=files,
            active=draw(st.booleans()),
            ready=draw(st.booleans()),
            enabled=draw(st.booleans()),
            elsewhere=unit is None and draw(st.booleans()),
            deployed=draw(st.sampled_from([None, "earlier", UNFINISHED, generation(WANTED[name])])),
        )
    return host


@given(hosts(), st.sets(st.sampled_from(NAMES)))
def test_after_the_plan_all_is_as_wanted_and_the_next_plan_is_empty(host, names):
    wanted = {name: WANTED[name] for name in names}
    for change in plan_present(wanted, host):
        host[change.name] = carried_out(host[change.name], change)
    for name in names:
        assert host[name].files == WANTED[name]
        assert host[name].ready
        assert host[name].enabled
    assert not any(host[name].deployed for name in NAMES if name not in names)
    assert plan_present(wanted, host) == []


@given(hosts())
def test_a_unit_of_somebody_elses_is_kept_before_it_is_replaced(host):
    for change in plan_present(WANTED, host):
        unfinished = host[change.name].deployed == UNFINISHED
        if host[change.name].files.get(unit_path(change.name)) == BY_HAND and not unfinished:
            assert change.keep.file == BY_HAND


def test_what_an_unfinished_run_left_is_not_taken_for_the_original():
    half_done = Found(files={unit_path("a"): BY_HAND}, active=True, enabled=False, deployed=UNFINISHED)
    (change,) = plan_present({"a": WANTED["a"]}, {"a": half_done})
    assert change.keep is None


def test_a_worker_that_crashes_again_and_again_is_not_running():
    crashing = Found(files=WANTED["a"], active=True, ready=False, enabled=True, deployed=generation(WANTED["a"]))
    (change,) = plan_present({"a": WANTED["a"]}, {"a": crashing})
    assert (change.why, change.files) == ("not running", {})


@given(hosts())
def test_only_what_we_deployed_is_removed(host):
    assert {change.name for change in plan_absent(host)} == {name for name, found in host.items() if found.deployed}


def test_back_to_the_original_and_again():
    host = {"a": Found(files={unit_path("a"): BY_HAND}, active=True, enabled=True)}
    (deploy,) = plan_present({"a": WANTED["a"]}, host)
    host["a"] = carried_out(host["a"], deploy)
    (back,) = plan_original(["a"], host)
    host["a"] = carried_out(host["a"], back)
    assert host["a"].files == {unit_path("a"): BY_HAND}
    assert host["a"].active
    assert plan_original(["a"], host) == []


def test_there_is_no_way_back_where_nothing_was():
    found = Found(
        files=WANTED["a"], deployed="x", original=Original(None, elsewhere=False, active=False, enabled=False)
    )
    with pytest.raises(PlanError, match="there was no unit of this name before"):
        plan_original(["a"], {"a": found})


def test_the_diff_shows_the_unit_and_keeps_the_secrets():
    changes = plan_present(WANTED, {})
    diff = describe(changes, {})
    assert "ExecStart=" in diff["after"]
    assert "KEY" in diff["after"]
    assert "geheim" not in str(diff)
