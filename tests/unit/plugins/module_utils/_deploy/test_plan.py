"""Plans: what has to change, and what to roll back to, for any state of the host."""

from dataclasses import replace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.files import File
from ansible_collections.evenkeel.celery.plugins.module_utils._common.paths import MARKER, unit_path
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy.plan import (
    Found,
    Original,
    PlanError,
    State,
    fall_back,
    generation,
    plan_absent,
    plan_original,
    plan_present,
    plan_previous,
    plan_restart,
    settled,
    without_earlier_state,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy.report import diff
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.kinds import KINDS
from hypothesis import given
from hypothesis import strategies as st
from workers import PROGRAMS, worker

BY_HAND = File(b"[Service]\nUser=root\n")
NAMES = ("a", "b", "c")


def wanted_files(**options):
    return KINDS["worker"].files(worker(**options), PROGRAMS)


WANTED = {name: wanted_files(name=name, environment={"KEY": "geheim-" + name}) for name in NAMES}

NEXT = {name: wanted_files(name=name, concurrency=2) for name in NAMES}
STAY_UP = dict.fromkeys(NAMES, 10.0)


def present(wanted, host):
    return plan_present(wanted, host, STAY_UP)


def carried_out(found, change):
    """The host's state after a change, according to the plan alone."""
    before = {} if found.state.pending else {generation(found.files): found.files}
    files = {path: file for path, file in {**found.files, **change.files}.items() if file}
    return Found(
        files=files,
        active=change.run,
        ready=change.run,
        enabled=change.enabled,
        elsewhere=found.elsewhere,
        state=settled(change, found),
        generations={**found.generations, **before},
        original=change.keep or found.original,
    )


EARLIER = "earlier"
STATES = [State(), State(EARLIER), State(pending=EARLIER), State(EARLIER, previous="first", pending="next")]


@st.composite
def hosts(draw):
    """Each worker in any state that is possible on a host."""
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
            state=draw(st.sampled_from([*STATES, State(generation(WANTED[name]))])),
            generations=draw(st.sampled_from([{}, {EARLIER: NEXT[name]}])),
        )
    return host


@given(hosts(), st.sets(st.sampled_from(NAMES)))
def test_a_plan_reaches_the_wanted_state_and_the_next_plan_is_empty(host, names):
    wanted = {name: WANTED[name] for name in names}
    for change in present(wanted, host):
        host[change.name] = carried_out(host[change.name], change)
    for name in names:
        assert host[name].files == WANTED[name]
        assert host[name].ready
        assert host[name].enabled
    assert not any(host[name].state.ours for name in NAMES if name not in names)
    assert present(wanted, host) == []


@given(hosts())
def test_an_original_unit_is_kept_before_it_is_replaced(host):
    for change in present(WANTED, host):
        unfinished = host[change.name].state.pending
        if host[change.name].files.get(unit_path(change.name)) == BY_HAND and not unfinished:
            assert change.keep.file == BY_HAND


def test_the_unit_of_an_interrupted_run_is_not_taken_for_the_original():
    half_done = Found(files={unit_path("a"): BY_HAND}, active=True, enabled=False, state=State(pending="x"))
    (change,) = present({"a": WANTED["a"]}, {"a": half_done})
    assert change.keep is None


def test_a_worker_in_a_crash_loop_counts_as_not_running():
    crashing = Found(files=WANTED["a"], active=True, ready=False, enabled=True, state=State(generation(WANTED["a"])))
    (change,) = present({"a": WANTED["a"]}, {"a": crashing})
    assert (change.why, change.files) == ("not running", {})


RUNNING = Found(files=WANTED["a"], active=True, ready=True, enabled=True, state=State(generation(WANTED["a"])))
CODE = {"/srv/shop/current": "one", "/srv/shop/lib": "two"}


def with_code(code, **state):
    return {"a": replace(RUNNING, state=replace(RUNNING.state, code=code, **state))}


@pytest.mark.parametrize("before", [{}, {**CODE, "/srv/shop/current": "zero"}])
def test_new_code_restarts_a_service_once_and_changes_no_file(before):
    host, wanted = with_code(before), {"a": WANTED["a"]}
    (change,) = plan_present(wanted, host, STAY_UP, code={"a": CODE})
    assert change.why.startswith("new code in /srv/shop/current")
    assert change.files == {}
    assert plan_present(wanted, {"a": carried_out(host["a"], change)}, STAY_UP, code={"a": CODE}) == []


def test_a_path_that_is_not_watched_any_more_restarts_nothing():
    assert plan_present({"a": WANTED["a"]}, with_code(CODE), STAY_UP, code={"a": {}}) == []


def test_a_restart_changes_nothing_that_is_stored_but_the_state_of_the_code():
    host = {**with_code({}, previous="first"), "b": Found(state=State("x")), "c": Found()}
    (change, _failed), (left_alone,) = plan_restart(["a", "b", "c"], host, STAY_UP, {"a": CODE})
    assert (change.name, change.files, change.only_restart, change.code) == ("a", {}, True, CODE)
    assert left_alone == "c is not deployed on this host. Run evenkeel.celery.site to deploy it."


def test_a_restart_starts_none_that_was_stopped_but_one_that_has_failed():
    stopped, failed = replace(RUNNING, active=False, ready=False, stopped=True), replace(RUNNING, active=False)
    changes, left_alone = plan_restart(["a", "b"], {"a": stopped, "b": failed}, STAY_UP, {})
    assert [change.name for change in changes] == ["b"]
    assert left_alone == ["a was stopped and stays so. To start it: systemctl start a"]


def test_a_restart_enables_no_service_at_boot():
    (change,), _left_alone = plan_restart(["a"], {"a": replace(RUNNING, enabled=False)}, STAY_UP, {})
    assert not change.enabled


def test_a_restart_is_refused_while_a_deployment_is_unfinished():
    unfinished = {**with_code({}), "b": replace(RUNNING, state=State("x", pending="y"))}
    with pytest.raises(PlanError, match="b: an earlier run was interrupted"):
        plan_restart(["a", "b"], unfinished, STAY_UP, {})


@given(hosts())
def test_only_what_we_deployed_is_removed(host):
    assert {change.name for change in plan_absent(host)} == {name for name, found in host.items() if found.state.ours}


def test_a_second_rollback_to_the_original_changes_nothing():
    host = {"a": Found(files={unit_path("a"): BY_HAND}, active=True, enabled=True)}
    (deploy,) = present({"a": WANTED["a"]}, host)
    host["a"] = carried_out(host["a"], deploy)
    (back,) = plan_original(["a"], host)
    host["a"] = carried_out(host["a"], back)
    assert host["a"].files == {unit_path("a"): BY_HAND}
    assert host["a"].active
    assert plan_original(["a"], host) == []


def test_a_service_with_nothing_before_it_is_left_alone_and_named_while_others_are_rolled_back():
    nothing = Original(None, elsewhere=False, active=False, enabled=False)
    new = Found(files=WANTED["a"], state=State("x"), original=nothing)
    replaced = replace(new, original=Original(BY_HAND, elsewhere=False, active=True, enabled=True))
    host = {"a": new, "b": replaced}
    for changes in (plan_original(["a", "b"], host), plan_previous(["a", "b"], host, {"a": 0, "b": 0})):
        assert [change.name for change in changes] == ["b"]
        (sentence,) = without_earlier_state(["a", "b", "c"], host, changes)
        assert sentence.startswith("a is left as it is: there is nothing to roll back to")
    assert plan_original(["a"], {}) == plan_previous(["a"], {}, STAY_UP) == []


def test_a_second_rollback_to_the_previous_generation_changes_nothing():
    host = {"a": Found(files={unit_path("a"): BY_HAND}, active=True, ready=True, enabled=True)}
    for wanted in (WANTED, NEXT):
        (deploy,) = present({"a": wanted["a"]}, host)
        host["a"] = carried_out(host["a"], deploy)
    (back,) = plan_previous(["a"], host, STAY_UP)
    host["a"] = carried_out(host["a"], back)
    assert host["a"].files == WANTED["a"]
    assert plan_previous(["a"], host, STAY_UP) == []
    (forward,) = present({"a": NEXT["a"]}, host)
    assert carried_out(host["a"], forward).state == State(generation(NEXT["a"]), previous=generation(WANTED["a"]))


def test_the_first_generation_is_rolled_back_to_the_original_unit():
    host = {"a": Found(files={unit_path("a"): BY_HAND}, active=True, ready=True, enabled=True)}
    (deploy,) = present({"a": WANTED["a"]}, host)
    host["a"] = carried_out(host["a"], deploy)
    (back,) = plan_previous(["a"], host, STAY_UP)
    assert carried_out(host["a"], back).files == {unit_path("a"): BY_HAND}


def test_removing_a_worker_restores_the_original_unit_only_with_restore_original():
    host = {"a": Found(files={unit_path("a"): BY_HAND}, active=True, ready=True, enabled=True)}
    (deploy,) = present({"a": WANTED["a"]}, host)
    host["a"] = carried_out(host["a"], deploy)
    (restored,) = plan_absent(host, restore_original=True)
    assert carried_out(host["a"], restored).files == {unit_path("a"): BY_HAND}
    (removed,) = plan_absent(host)
    assert carried_out(host["a"], removed).files == {}
    (dropped,) = plan_present({}, host, {}, restore_original=True)
    assert dropped == restored


def test_files_that_were_changed_by_hand_and_run_are_rolled_back_to():
    by_hand = {**WANTED["a"], unit_path("a"): File(WANTED["a"][unit_path("a")].content + b"# at 3 a.m.")}
    found = Found(files=by_hand, active=True, ready=True, enabled=True, state=State(generation(WANTED["a"])))
    (deploy,) = present({"a": NEXT["a"]}, {"a": found})
    assert settled(deploy, found).previous == generation(by_hand)
    assert {**NEXT["a"], **fall_back(deploy, found).files} == by_hand
    assert fall_back(deploy, found).run


def test_files_that_do_not_run_are_not_rolled_back_to():
    good = generation(WANTED["a"])
    broken = {**WANTED["a"], unit_path("a"): File(b"half of it")}
    for found in (
        Found(files=broken, active=True, state=State(good), generations={good: WANTED["a"]}),
        Found(files=broken, ready=True, state=State(good, pending="x"), generations={good: WANTED["a"]}),
    ):
        (deploy,) = present({"a": NEXT["a"]}, {"a": found})
        assert {**NEXT["a"], **fall_back(deploy, found).files} == WANTED["a"]
        assert fall_back(deploy, found).run


def test_the_diff_shows_the_unit_but_no_values_of_the_environment():
    changes = present(WANTED, {})
    shown = diff(changes, {})
    assert "ExecStart=" in shown["after"]
    assert "KEY" in shown["after"]
    assert "geheim" not in str(shown)
