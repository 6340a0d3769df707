"""The goals of the report: met only if that is known."""

import pytest
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.answer import Answer
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.goals import MET, NOT_MET, UNKNOWN, judge
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.read import read
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.wanted import wanted
from reports import DAY, HOUR, MIB, NOW, answer, end, hours, period, worker

NAMES = ["out of memory", "memory", "stuck", "throughput", "refused calls"]


def judged(*answers, silent=(), **goals):
    read_answers = {f"host-{number}": read(Answer, each) for number, each in enumerate(answers)}
    found = judge(read_answers, silent, wanted(7, {"memory": "1G", **goals}), NOW)
    return dict(zip(NAMES, found))


def test_all_are_met_on_a_host_with_which_all_is_well():
    assert {goal.verdict for goal in judged(answer()).values()} == {MET}


def test_without_an_answer_there_is_nothing_to_judge():
    assert judge({}, ["host-1"], wanted(7, {}), NOW) == []


def test_a_host_that_does_not_answer_makes_met_a_cant_know():
    found = judged(answer(), answer(worker(kills=[{"t": NOW - HOUR}])), silent=["vps"])
    assert [goal.verdict for goal in found.values()] == [NOT_MET, *[UNKNOWN] * 4]
    assert all("vps" in goal.why and "did not answer" in goal.why for goal in found.values())


@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("out of memory", {"out_of_memory": False}),
        ("memory", {"memory": ""}),
        ("stuck", {"stuck_for": ""}),
        ("throughput", {"throughput": False}),
        ("refused calls", {"refusals_down": 0}),
    ],
)
def test_a_goal_that_is_not_wanted_is_left_out(name, off):
    left = judge({"host": read(Answer, answer())}, (), wanted(7, {"memory": "1G", **off}), NOW)
    assert [goal.name for goal in left] == [goal.name for key, goal in judged(answer()).items() if key != name]


# --- out of memory


@pytest.mark.parametrize(
    "told",
    [
        {"kills": [{"t": NOW - HOUR}]},
        {"events": [end(NOW - HOUR, "out of memory")]},
        {"kills": [{"t": NOW - HOUR}], "events": [end(NOW - HOUR + 1, "out of memory")]},
        {"memory": {"oom_kills": 1}},
        {"memory": {"oom_kills": 1}, "kills": [{"t": NOW - HOUR}]},
    ],
)
def test_a_kill_counts_once_whoever_tells_of_it(told):
    goal = judged(answer(worker(**told)))["out of memory"]
    assert (goal.verdict, goal.measured.split(",")[0]) == (NOT_MET, "1 kill")


def test_a_kill_before_the_first_deployment_is_told_but_does_not_count():
    service = worker(kills=[{"t": NOW - 4 * DAY}], ours_since=NOW - 3 * DAY)
    goal = judged(answer(service))["out of memory"]
    assert (goal.verdict, goal.since) == (UNKNOWN, NOW - 3 * DAY)
    assert "1 kill before the first deployment" in goal.why


@pytest.mark.parametrize(
    "short",
    [
        answer(journal={"since": NOW - DAY, "persistent": True, "kernel": True, "suppressed": 0}),
        answer(worker(kills_since=NOW - DAY)),
    ],
)
def test_seven_days_are_met_only_if_all_of_them_are_known(short):
    goal = judged(short)["out of memory"]
    assert (goal.verdict, goal.since) == (UNKNOWN, NOW - DAY)
    assert "7 days are known from" in goal.why


def test_a_task_lost_to_a_signal_may_have_run_out_of_memory():
    goal = judged(answer(worker(after=period(lost=2))))["out of memory"]
    assert goal.verdict == UNKNOWN
    assert "lost 2 tasks to SIGKILL" in goal.why


# --- memory


def test_the_memory_of_a_host_counts_at_its_peak():
    samples = [{"t": NOW - HOUR, "used": 900 * MIB}, {"t": NOW - HOUR / 2, "used": 1100 * MIB}]
    goal = judged(answer(samples=samples))["memory"]
    assert (goal.verdict, goal.since) == (NOT_MET, NOW - HOUR)
    assert goal.measured.startswith("1.1 GiB")


def test_services_that_take_more_than_the_goal_need_no_sample():
    service = worker(memory={"working": MIB, "peak": 1100 * MIB})
    assert judged(answer(service, samples=[]))["memory"].verdict == NOT_MET


def test_a_peak_of_an_earlier_run_counts():
    service = worker(events=[{"t": NOW - DAY, "kind": "peak", "bytes": 1100 * MIB}])
    assert judged(answer(service))["memory"].verdict == NOT_MET


def test_a_peak_that_was_sampled_counts():
    samples = [{"t": NOW - HOUR, "used": 0, "services": {"shop-worker": [None, 1100 * MIB, 1]}}]
    assert judged(answer(samples=samples))["memory"].verdict == NOT_MET


def test_the_present_alone_is_no_peak():
    assert judged(answer(samples=[]))["memory"].verdict == UNKNOWN


def test_an_idle_week_says_nothing_about_the_peak():
    assert judged(answer(worker(hours=hours(0))))["memory"].verdict == UNKNOWN


def test_a_container_sees_the_memory_of_another_machine():
    machine = {**answer()["machine"], "container": True}
    machine["memory"]["used"] = 9000 * MIB
    assert judged(answer(machine=machine))["memory"].verdict == UNKNOWN


# --- stuck jobs


def test_a_stuck_job_is_not_met_even_if_another_host_cant_count():
    stuck, blind = {"known": True, "count": 2, "oldest": 2 * HOUR}, {"known": False, "why": "no clean-up here"}
    goal = judged(answer(stuck=stuck), answer(stuck=blind))["stuck"]
    assert (goal.verdict, goal.measured) == (NOT_MET, "2 jobs, the oldest for 2 h")


def test_jobs_that_nobody_counts_are_not_zero():
    goal = judged(answer(stuck={"known": False, "why": "no clean-up here"}))["stuck"]
    assert (goal.verdict, goal.measured) == (UNKNOWN, "not counted")
    assert "no clean-up here" in goal.why
    assert judged(answer(), answer(stuck={"known": False, "why": "no clean-up"}))["stuck"].verdict == UNKNOWN


# --- throughput and refused calls


def test_fewer_tasks_than_before_may_be_fewer_that_were_sent():
    service = worker(after=period(succeeded=100, busiest_hour=50))
    assert judged(answer(service))["throughput"].verdict == UNKNOWN


def test_a_log_that_does_not_tell_of_tasks_is_not_zero_tasks():
    goal = judged(answer(worker(after=period(), hours=hours())))["throughput"]
    assert (goal.verdict, goal.measured) == (UNKNOWN, "not in the log")


def test_figures_from_before_may_be_given():
    service = worker(before=None, after=period(succeeded=100, refused=5, busiest_hour=100))
    assert judged(answer(service))["throughput"].verdict == UNKNOWN
    assert judged(answer(service))["refused calls"].verdict == UNKNOWN
    found = judged(answer(service), busiest_hour_before=100, refusals_before=1000)
    assert (found["throughput"].verdict, found["refused calls"].verdict) == (MET, MET)


@pytest.mark.parametrize(("refused", "verdict"), [(10, MET), (11, NOT_MET)])
def test_refused_calls_are_compared_for_the_same_number_of_tasks(refused, verdict):
    before = period(succeeded=1000, refused=1000)
    after = period(succeeded=100, refused=refused)
    assert judged(answer(worker(before=before, after=after)))["refused calls"].verdict == verdict


@pytest.mark.parametrize(
    "doubtful",
    [
        answer(worker(before=period(succeeded=500))),
        answer(worker(after=period(succeeded=19))),
        answer(worker(after=period())),
        answer(journal={"since": NOW - 30 * DAY, "persistent": True, "kernel": True, "suppressed": 1}),
    ],
    ids=["none before either", "few tasks", "no task", "messages left out"],
)
def test_refused_calls_that_can_t_be_compared_are_not_fewer(doubtful):
    assert judged(doubtful)["refused calls"].verdict == UNKNOWN


def test_a_beat_has_no_tasks_to_compare():
    assert judged(answer(worker(kind="beat")))["refused calls"].verdict == UNKNOWN
