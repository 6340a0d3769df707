"""The verdict, and what to do."""

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report import table
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.answer import answers_of
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.summary import summarize
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.wanted import wanted
from report_summary import summary
from reports import DAY, GONE, HOUR, NOW, answer, end, worker


@pytest.mark.parametrize(
    ("hosts", "code", "sentence"),
    [
        ([answer()], 0, "All is well: the service runs, and all 5 goals are met."),
        ([answer(worker(), worker("beat", kind="beat", state="standby"))], 0,
         "All is well: both services run, and all 5 goals are met."),
        ([answer(worker(state="failed"))], 1, "1 service is down."),
        ([answer(worker(state="missing"), worker(state="hung"))], 1, "2 services are down."),
        ([answer(worker(kills=[{"t": NOW - HOUR}]))], 1, "The service runs, but 1 goal is not met."),
        ([answer(), GONE], 1, "1 host did not answer."),
        ([answer(worker(state="stopped"), stuck={"known": True, "count": 1}), GONE, GONE], 1,
         "2 hosts did not answer, 1 service is down and 1 goal is not met."),
        ([answer(samples=[])], 3, "The service runs. 4 of 5 goals are met; of the others, it can't be known yet."),
        ([answer(worker(), worker(state="starting"))], 3, "1 of 2 services is ready; the others are starting."),
        ([answer(worker(state="running"))], 3,
         "The service runs, but does not tell whether it works."),
        ([answer(worker(state="starting"))], 3, "The service is starting."),
        ([answer(services=[])], 3, "No host has a service."),
        ([GONE], 1, "1 host did not answer."),
    ],
)  # fmt: skip
def test_the_verdict_is_one_sentence_and_one_exit_code(hosts, code, sentence):
    found = summary(*hosts)
    assert (found.exit_code, found.sentence) == (code, sentence)


def to_do(*hosts):
    return [(each.host, each.what, each.command) for each in summary(*hosts).advice]


def test_nothing_is_to_be_done_where_all_is_well():
    assert to_do(answer()) == []


def test_what_stands_still_comes_first_and_hosts_without_an_answer_before_it():
    ends = [end(NOW - number * HOUR) for number in (3, 2, 1)]
    busy = answer(worker(events=ends), worker("mail", state="failed"))
    assert [what.split(" ")[0] for _host, what, _command in to_do(busy, GONE)] == [
        "No",
        "\u2068mail\u2069",
        "\u2068shop-worker\u2069",
    ]


def test_a_command_is_safe_to_paste():
    ((_host, _what, command),) = to_do(answer(worker("a; reboot", state="stopped")))
    assert command == "systemctl start 'a; reboot'"


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (answer(worker(watchdog=None)), "Set watchdog: 30s"),
        (answer(worker(memory={})), "Set memory_max"),
        (answer(worker(leftovers=["process 12 of root"])), "process 12 of root"),
        (answer(worker(kills=[{"t": NOW - HOUR}])), "ran out of memory"),
        (answer(stuck={"known": True, "count": 2, "oldest": 2 * HOUR}), "2 jobs are stuck, the oldest for 2 h"),
        (answer(journal={"since": None, "persistent": False, "kernel": True, "suppressed": 0}), "lost at a reboot"),
        (answer(journal={"since": NOW, "persistent": True, "kernel": True, "suppressed": 9}), "left out 9 messages"),
        (answer(machine={**answer()["machine"], "disks": [{"path": "/", "total": 100, "free": 9}]}), "91% full"),
        (answer(worker(state="disconnected")), "has lost its broker"),
    ],
)
def test_each_trouble_has_its_advice(host, words):
    ((_host, what, _command),) = to_do(host)
    assert words in what


def test_ends_before_the_first_deployment_are_no_trouble():
    ends = [end(NOW - 4 * DAY)] * 5
    assert to_do(answer(worker(events=ends, ours_since=NOW - DAY))) == []


def test_the_commands_show_the_time_in_which_ends_and_kills_are_counted():
    service = worker(events=[end(NOW - 6 * DAY, "out of memory")] * 3, ours_since=NOW - 30 * DAY)
    commands = [command for _host, _what, command in to_do(answer(service))]
    assert commands == [
        "journalctl -u shop-worker --since '2026-11-20 03:44:58 UTC'",
        "journalctl -k --since '2026-11-20 03:44:58 UTC' | grep -i 'out of memory'",
    ]
    service = {**service, "ours_since": NOW - 6.5 * DAY}
    assert all("--since '2026-11-20 15:44:58 UTC'" in command for _host, _what, command in to_do(answer(service)))


def test_the_table_has_the_goals_and_each_service():
    text = "\n\n".join(table.report(summary(answer(worker("w" * 200), worker("עובד")), GONE)))
    assert "? can't know" in text
    assert "w" * 47 + "…" in text
    assert "עובד" in text
    assert not {"\u2068", "\u2069"} & set(text)


def test_json_has_all_of_it_and_no_invisible_characters():
    text = json.dumps(summary(answer(), GONE).as_data(), ensure_ascii=False)
    assert not {"\u2068", "\u2069"} & set(text)
    data = json.loads(text)
    assert (data["verdict"], data["exit_code"], [*data["hosts"]], [*data["no_answer"]]) == (
        "wrong",
        1,
        ["host-0"],
        ["host-1"],
    )


def test_without_goals_only_the_services_count():
    answers, silent = answers_of({"vps": {"report": answer()}})
    none = {"out_of_memory": False, "stuck_for": "", "throughput": False, "refusals_down": 0}
    found = summarize(answers, silent, wanted(7, none), NOW)
    assert (found.goals, found.sentence) == ([], "All is well: the service runs.")
