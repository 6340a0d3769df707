"""Each entry of the journal is counted once, whatever happens to the journal and to samples."""

from pathlib import Path

import journals
import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import counters, ends, stuck_jobs
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.config import Config, Service
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.counters import Counters
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.log_lines import MOST_NAMES
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.metrics import OTHER_TASKS
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.unit_state import Memory, UnitState
from hypothesis import given, settings
from hypothesis import strategies as st

RECORDED = Path(__file__).with_name("journals")
CONFIG = Config((Service("w", "worker"), Service("b", "beat")))
DONE = "Task shop.order[1] succeeded in 2.5s: None"


@pytest.fixture
def journal(monkeypatch):
    return watched(monkeypatch, journals.Journal())


def watched(monkeypatch, journal, kernel=False):
    monkeypatch.setattr(counters, "Reading", journal.Reading)
    monkeypatch.setattr(ends, "kernel_is_heard", lambda: kernel)
    monkeypatch.setattr(stuck_jobs, "owners", dict)
    return journal


def listen(kept, config=CONFIG, **memory):
    kept.listen(config, {each.name: UnitState("ready", memory=Memory(**memory)) for each in config.services})
    return kept.services["w"]


def stored(kept, path):
    """The counters as the next sample has them."""
    path.write_bytes(counters.dump(kept))
    return counters.load(path, now=99.0)


def test_each_entry_is_counted_once(journal, tmp_path):
    kept = Counters(0.5)
    for number in range(1, 4):
        journal.line("w", DONE)
        journal.event("w", ends.FAILED, UNIT_RESULT="watchdog")
        journal.event("w", ends.RESTARTED)
        for _sample in range(2):
            found = listen(kept)
            assert found.tasks["shop.order"].succeeded == found.ends["hung"] == found.restarts == number
            kept = stored(kept, tmp_path / "counters")
    assert found.tasks["shop.order"].seconds == 7.5


def test_what_was_before_the_first_sample_is_not_counted(journal):
    journal.line("w", DONE, at=3)
    journal.line("w", DONE, at=5)
    assert listen(Counters(4.0)).tasks["shop.order"].succeeded == 1


def test_nothing_is_counted_twice_after_a_rotation(journal):
    kept = Counters(0.5)
    for _line in range(5):
        journal.line("w", DONE)
    listen(kept)
    del journal.entries[:]
    assert listen(kept).tasks["shop.order"].succeeded == 5
    journal.line("w", DONE)
    assert listen(kept).tasks["shop.order"].succeeded == 6


def test_more_than_is_read_at_once_is_read_by_the_next_samples(journal, monkeypatch):
    monkeypatch.setattr(counters, "MOST_ENTRIES", 3)
    kept = Counters(0.5)
    for _line in range(7):
        journal.line("w", DONE)
    assert [listen(kept).tasks["shop.order"].succeeded for _sample in range(4)] == [3, 6, 7, 7]


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["line", "other", "sample", "store", "rotate"]), max_size=20))
def test_counts_are_exact_whatever_comes_in_between(tmp_path_factory, steps):
    with pytest.MonkeyPatch.context() as patch:
        journal, kept, lines, lost = watched(patch, journals.Journal()), Counters(0.5), 0, 0
        for step in steps:
            if step == "line":
                journal.line("w", DONE)
                lines, lost = lines + 1, lost + 1
            elif step == "other":
                journal.line("w", "nothing to count")
            elif step == "sample":
                listen(kept)
                lost = 0
            elif step == "store":
                kept = stored(kept, tmp_path_factory.getbasetemp() / "counters")
            else:  # what was not yet read is lost with its file
                del journal.entries[:]
                lines, lost = lines - lost, 0
        found = listen(kept)
        assert (found.tasks["shop.order"].succeeded if found.tasks else 0) == lines


def test_of_many_tasks_few_are_kept(journal):
    for number in range(MOST_NAMES + 50):
        journal.line("w", f"Task task-{number}[1] succeeded in 1s: None")
    found = listen(Counters(0.5))
    assert len(found.tasks) == MOST_NAMES + 1
    assert found.tasks[OTHER_TASKS].succeeded == 50


def test_a_service_speaks_only_for_itself(journal):
    """An application can write any field to the journal but those that begin with an underscore."""
    lie = {"UNIT": "b.service", "MESSAGE_ID": ends.FAILED, "UNIT_RESULT": "watchdog", "_UID": "997"}
    journal.add(DONE, _SYSTEMD_UNIT="w.service", _TRANSPORT="journal", _PID="4242", **lie)
    journal.add("oom-kill:constraint=C,task_memcg=/system.slice/b.service,task=x", _SYSTEMD_UNIT="w.service", _PID="42")
    journal.line("stranger", DONE)
    kept = Counters(0.5)
    listen(kept)
    assert kept.services["w"].tasks["shop.order"].succeeded == 1
    assert kept.services["b"] == counters.ServiceCounts()


def test_a_kill_that_the_kernel_tells_of_is_the_reason_of_the_end(monkeypatch):
    journal = watched(monkeypatch, journals.Journal(), kernel=True)
    kill = "oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/system.slice/w.service,task=celery,pid=7,uid=9"
    journal.add(kill, 10, _TRANSPORT="kernel")
    kept = Counters(0.5)
    assert listen(kept, cgroup=1, oom_kills=1).oom_kills == 1
    journal.event("w", ends.FAILED, 10.2, UNIT_RESULT="signal")
    assert listen(kept).ends == {"out of memory": 1}


def test_without_the_kernels_messages_the_control_group_counts(journal):
    kept = Counters(0.5)
    counts = [listen(kept, cgroup=1, oom_kills=kills).oom_kills for kills in (0, 2, 2, None, 0, 1, 3)]
    assert counts == [0, 2, 2, 2, 2, 3, 5]


def test_with_control_groups_v2_systemd_tells_of_kills(journal):
    journal.event("w", ends.OOM)
    assert listen(Counters(0.5), cgroup=2, oom_kills=1).oom_kills == 1


def test_a_beat_that_waits_for_the_lock_has_not_failed(journal):
    """It is never ready, so systemd starts it again and again."""
    kept = Counters(0.5)
    for _run in range(3):
        journal.line("b", "[…] another beat of this application holds the lock: other:7. This one sends nothing")
        journal.event("b", ends.FAILED, UNIT_RESULT="timeout")
        journal.event("b", ends.RESTARTED)
        listen(kept)
    assert (kept.services["b"].ends, kept.services["b"].restarts) == ({}, 0)
    journal.event("b", ends.STARTED)
    journal.event("b", ends.FAILED, UNIT_RESULT="timeout")
    listen(kept)
    assert kept.services["b"].ends == {"too slow": 1}


def test_lines_that_journald_left_out_are_counted(journal):
    journal.add(
        "Suppressed 47 messages from w.service", MESSAGE_ID=ends.SUPPRESSED, N_DROPPED="47", _TRANSPORT="driver"
    )
    journal.add("Suppressed 9 messages from w.service", MESSAGE_ID=ends.SUPPRESSED, N_DROPPED="9", _TRANSPORT="journal")
    kept = Counters(0.5)
    listen(kept)
    assert kept.suppressed == 47


def test_no_entry_ends_a_sample(journal, monkeypatch):
    journal.add(
        "…", **{"_UID": "7", stuck_jobs.STUCK_JOBS_FIELD: f'{{"db":{{"stuck_jobs_failed":[["db",1{"0" * 400}]]}}}}'}
    )
    journal.entries[-1]["MESSAGE_ID"] = stuck_jobs.STUCK_JOBS_MESSAGE
    monkeypatch.setattr(stuck_jobs, "owners", lambda: {"db": {7}})
    journal.event("w", ends.CONSUMED, MEMORY_PEAK="9" * 5000)
    journal.event("w", ends.RESTARTED)
    assert listen(Counters(0.5)).restarts == 1
    monkeypatch.setattr(ends, "event", lambda entry: 1 / 0)
    journal.event("w", ends.RESTARTED)
    listen(Counters(0.5))


def test_a_reading_that_gets_nowhere_goes_on_with_the_present(journal, monkeypatch):
    kept = Counters(0.5)
    for number in range(3):
        journal.line("w", f"Task t{number}[1] succeeded in 1s: None")
    monkeypatch.setattr(counters, "MOST_ENTRIES", 0)
    monkeypatch.setattr(counters, "newest_cursor", lambda: "i=000000002")
    listen(kept)
    assert (kept.suppressed, kept.lines) == (1, "i=000000002")
    monkeypatch.setattr(counters, "MOST_ENTRIES", 9)
    assert list(listen(kept).tasks) == ["t2"]


def test_counters_of_a_removed_service_go(journal):
    journal.line("w", DONE)
    kept = Counters(0.5)
    listen(kept)
    kept.listen(Config(), {})
    assert not kept.services


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 0}', b'{"version": 1}', b'{"version": 1, "x": 2}'])
def test_damaged_counters_begin_anew(tmp_path, content):
    path = tmp_path / "counters"
    path.write_bytes(content)
    assert counters.load(path, 7.0) == Counters(7.0)
    assert counters.load(tmp_path / "none", 7.0) == Counters(7.0)


@pytest.mark.parametrize("system", ["debian12", "debian13"])
def test_recorded_journals_of_both_systems_are_counted(monkeypatch, system):
    """Sent were 10 that sleep, 4 that fail, one each that is refused, writes bytes, is retried twice, is killed."""
    watched(monkeypatch, journals.recorded(RECORDED / f"{system}.jsonl"))
    kept = Counters(0.5)
    config = Config((Service("w-main", "worker"), Service("w-quiet", "worker")))
    kept.listen(config, {each.name: UnitState("ready") for each in config.services})
    found = kept.services["w-main"]
    outcomes = {name: (task.succeeded, task.failed, task.retried) for name, task in found.tasks.items()}
    outcomes.pop("shop.tick", None)
    assert outcomes == {
        "shop.sleep": (10, 0, 0),
        "shop.fail": (0, 4, 0),
        "shop.refused": (1, 0, 0),
        "shop.binary": (1, 0, 0),
        "shop.retry": (0, 1, 2),
    }
    assert (found.ends, found.restarts, found.lost) == ({"hung": 1}, 1, 1)
    # 3 lines of its own, a traceback for each that failed (4 + 1), 2 retries, and one that is not UTF-8
    assert found.rate_limited == 11
    assert kept.services["w-quiet"].ends["killed"] == 1
