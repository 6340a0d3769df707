"""The result of a scenario, from the records of Ansible and pytest."""

import pytest
import results


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "swap.log"
    path.write_text("first\nlast words\n")
    return path


def read(log, *records, ok=True):
    return results.read("swap", 61.4, log, list(records), ok)


def test(name, outcome, message=""):
    return {"test": name, "outcome": outcome, "message": message}


test.__test__ = False


def playbook(name, seconds=1.0, check=False, failures=(), changed=()):
    return {"playbook": name, "check": check, "seconds": seconds, "failures": failures, "changed": changed}


def test_tests_are_counted_once(log):
    result = read(log, test("a", "passed"), test("b", "failed", "why"), test("b", "failed", "and torn"), ok=False)
    assert (result.passed, list(result.failures)) == (1, ["b"])


def test_a_test_that_fails_in_teardown_has_not_passed(log):
    result = read(log, test("a", "passed"), test("a", "failed", "why"), ok=False)
    assert (result.passed, result.failures) == (0, {"a": "why"})


def test_a_failed_task_is_reported_with_its_step_host_and_message(log):
    failure = {"task": "Install Celery", "host": "swap-debian12", "message": "No matching distribution"}
    result = read(log, playbook("create"), playbook("prepare", failures=[failure]), ok=False)
    assert result.failures == {"swap: prepare: Install Celery [swap-debian12]": "No matching distribution"}


def test_a_task_that_changes_again_fails_idempotence(log):
    changed = [{"task": "Write the unit", "host": "swap-debian12"}]
    runs = [playbook("converge", check=True), *[playbook("converge", changed=changed)] * 2]
    result = read(log, *runs, ok=False)
    assert list(result.failures) == ["swap: idempotence: Write the unit [swap-debian12]"]
    assert list(result.steps) == ["check", "converge", "idempotence"]


def test_the_seconds_of_a_step_that_runs_twice_are_added(log):
    result = read(log, playbook("destroy", 2), {"verified": 20.0}, {"verified": 30.0}, playbook("destroy", 5))
    assert result.steps == {"destroy": 7, "verify": 50}


def test_a_failure_without_a_record_is_reported_with_the_last_lines_of_the_log(log):
    result = read(log, ok=False)
    assert result.failures == {"swap: Molecule": "first\nlast words"}


def test_the_report_ends_with_the_counts(log):
    good = results.Result("default", 183.2, log, passed=12)
    bad = read(log, test("a", "passed"), test("swap/test_swap.py::test_b", "failed", "assert 1 == 2"), ok=False)
    assert results.report([good, bad]).splitlines() == [
        "scenario  passed  failed  seconds",
        "────────  ──────  ──────  ───────",
        "default       12       0      183",
        "swap           1       1       61",
        "",
        "FAILED swap/test_swap.py::test_b",
        "    assert 1 == 2",
        f"    log: {log}",
        "",
        "13 passed, 1 failed",
    ]


def test_a_long_message_is_cut(log):
    report = results.explain("a", "\n".join(map(str, range(100))), log)
    assert len(report.splitlines()) == results.LINES_OF_A_MESSAGE + 3


def test_the_soak_report_counts_the_rounds_in_which_something_failed(log):
    rounds = [
        read(log, test("a", "passed")),
        read(log, test("a", "failed", "why")),
        read(log, test("a", "failed", "why"), test("b", "failed", "because")),
    ]
    report = results.soak_report(rounds).splitlines()
    assert report[:4] == ["what failed   times", "───────────  ──────", "a            2 of 3", "b            1 of 3"]
    assert report[-3:] == ["swap: seconds of each round: 61, 61, 61", "", "1 passed, 2 failed"]


def test_a_run_without_a_test_has_failed(log):
    assert read(log).failures == {"swap: Molecule": "first\nlast words"}
