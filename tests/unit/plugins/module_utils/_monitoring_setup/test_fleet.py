"""What the alert rules and Prometheus's targets take from the inventory."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.fleet import (
    InventoryError,
    completed,
    fleet,
    one_of,
    prometheus_duration,
)
from rendered_rules import host


def errors(*hosts, **variables):
    with pytest.raises(InventoryError) as raised:
        fleet({f"host{number}": each for number, each in enumerate(hosts or [host(**variables)])})
    return str(raised.value).splitlines()


@pytest.mark.parametrize(
    "variables, error",
    [
        (
            {"queues": [{"name": "vido"}], "celery_worker_instances": [{"name": "w", "queues": ["video"]}]},
            "monitoring_queues: vido: no worker of the inventory consumes it. Correct the name, or set the queue's"
            " workers to some of: w.",
        ),
        (
            {"queues": [{"name": "a", "workers": ["x"]}], "celery_worker_instances": [{"name": "w"}]},
            "monitoring_queues: a: no worker is called x. The inventory's workers: w.",
        ),
        (
            {"queues": [{"name": "a", "backlog": -1}], "celery_worker_instances": [{"name": "w"}]},
            "monitoring_queues: a: backlog -1 is less than 0. Set the most that may wait.",
        ),
        (
            {"queues": [{"name": "a", "idle_for": "0"}], "celery_worker_instances": [{"name": "w"}]},
            "monitoring_queues: a: idle_for 0 is too short. Set at least 1s.",
        ),
        (
            {"tasks": [{"name": "t", "within": "soon"}]},
            "monitoring_tasks: t: within: 'soon' is not a duration: write 300 (seconds), 30s, 5min, 2h or '1h 30min'.",
        ),
        (
            {"tasks": [{"name": "{{ t }}", "within": "1h"}]},
            "monitoring_tasks: {{ t }} contains {{, which Prometheus would take for a template. Correct the name.",
        ),
        (
            {"tasks": [{"name": "t", "within": "1h"}, {"name": "t", "within": "2h"}]},
            "monitoring_tasks: t is given twice, with different values. Give it once.",
        ),
        (
            {"alerts": {"failed_share": 20}},
            "monitoring_alerts: failed_share 20 is no share. Set a number between 0 and 1, such as 0.2.",
        ),
        (
            {"alerts": {"window": "1 fortnight"}},
            "monitoring_alerts: window: '1 fortnight' is not a duration: write 300 (seconds), 30s, 5min, 2h or"
            " '1h 30min'.",
        ),
        (
            {"job_cleanup_cron_state": "present", "job_cleanup_cron_schedule": {"minute": "0", "hour": "3"}},
            "host0: job_cleanup_cron_schedule sets hour, so the clean-up may not run each hour, after which an alert"
            " would fire. Set cleanup_within in monitoring_alerts to more than the longest time between two runs, such"
            " as 25h.",
        ),
        (
            {"queues": [{"name": "a\nb"}]},
            "host0: monitoring_a\\nb: name: 'a\\nb' contains the character U+000A. Remove it.",
        ),
    ],
)
def test_an_error_says_what_is_wrong_and_what_is_accepted(variables, error):
    assert errors(**variables) == [error]


def test_all_errors_are_told_at_once():
    assert len(errors(queues=[{"name": "a"}], tasks=[{"name": "t", "within": "x"}], alerts={"after": "y"})) == 3


def test_two_hosts_that_prometheus_would_ask_at_one_address_are_refused():
    assert errors(host(), host(exporters=["node"])) == [
        "host0 and host1: Prometheus would ask both at 127.0.0.1:9100. Set monitoring_listen_address to the host's"
        " address in a private network, or monitoring_scrape_address to that of a tunnel."
    ]


@pytest.mark.parametrize(
    "variables, address",
    [
        ({"listen_address": "10.0.0.5"}, "10.0.0.5:9100"),
        ({"listen_address": "0.0.0.0"}, "web1:9100"),  # noqa: S104
        ({"listen_address": "::", "ansible_host": "fd00::5"}, "[fd00::5]:9100"),
        ({"listen_address": "0.0.0.0", "ansible_host": "10.0.0.5"}, "10.0.0.5:9100"),  # noqa: S104
        ({"scrape_address": "127.0.1.5"}, "127.0.1.5:9100"),
    ],
)
def test_the_instance_is_the_host_wherever_prometheus_asks(variables, address):
    ansible_host = variables.pop("ansible_host", None)
    web1 = {**host(exporters=["node"], **variables), **({"ansible_host": ansible_host} if ansible_host else {})}
    (target,) = fleet({"web1": web1})["targets"]
    assert target == {"targets": [address], "labels": {"job": "node", "instance": "web1"}}


def test_hosts_that_are_not_measured_are_left_out():
    found = fleet({"web1": host(state="absent"), "web2": host()})
    assert found["names"] == ["web2"]
    assert fleet({"web1": host(state="absent")}) == {"names": [], "targets": []}


def test_a_host_has_the_variables_of_the_role_where_the_inventory_has_none():
    hosts = completed({"a": {"monitoring_listen_address": "10.0.0.5", "secret": "x"}, "b": {}}, host())
    assert hosts == {"a": host(listen_address="10.0.0.5"), "b": host()}


def test_if_the_inventory_says_which_hosts_are_measured_the_others_are_not():
    hosts = completed({"a": {"monitoring_state": "present"}, "b": {}}, host())
    assert {name: each["monitoring_state"] for name, each in hosts.items()} == {"a": "present", "b": "absent"}


@pytest.mark.parametrize(
    "instances, served_by",
    [
        ([{"name": "a", "queues": ["q"]}, {"name": "b", "queues": ["p"]}, {"name": "c"}], 'service="a"'),
        ([{"name": "a", "queues": ["p"]}, {"name": "b"}, {"name": "c"}], 'service=~"b|c"'),
        ([{"name": "a.1"}, {"name": "b", "queues": ["q"]}, {"name": "c", "queues": ["q"]}], 'service=~"b|c"'),
    ],
)
def test_a_queue_is_served_by_those_that_name_it_or_else_by_those_that_name_none(instances, served_by):
    (queue,) = fleet({"h": host(queues=[{"name": "q"}], celery_worker_instances=instances)})["queues"]
    assert queue["served_by"] == served_by


def test_how_long_a_worker_may_be_busy_follows_from_its_time_limit():
    instances = [{"name": "a", "time_limit": "30min"}, {"name": "b"}, {"name": "c", "time_limit": 90}]
    instances.append({"name": "d", "settings": {"task_time_limit": 300}})
    variables = {"celery_worker_instances": instances, "celery_worker_defaults": {"settings": {"task_acks_late": True}}}
    busy = {each["name"]: each["longest"] for each in fleet({"h": host(**variables)})["busy_workers"]}
    assert busy == {"a": "31m", "c": "150s", "d": "6m"}
    busy = fleet({"h": host(alerts={"longest_task": "6h"}, **variables)})["busy_workers"]
    assert [each["longest"] for each in busy] == ["31m", "6h", "150s", "6m"]


def test_a_queue_is_missed_only_where_the_exporter_counts_it():
    queues = [{"name": "q"}, {"name": "celery"}]
    hosts = {
        "watching": host(queues=queues, celery_worker_instances=[{"name": "a", "queues": ["p"]}]),
        "naming": host(listen_address="10.0.0.2", celery_worker_instances=[{"name": "b", "queues": ["q"]}]),
        "nameless": host(listen_address="10.0.0.3", celery_worker_instances=[{"name": "c"}]),
        "without": host(listen_address="10.0.0.4", queues=queues, exporters=["node"]),
    }
    counted_by = {queue["name"]: queue["counted_by"] for queue in fleet(hosts)["queues"]}
    assert counted_by == {"q": 'instance=~"watching|naming"', "celery": 'instance=~"watching|nameless"'}


def test_a_slow_schedule_is_accepted_with_a_time_that_suits_it():
    variables = {"job_cleanup_cron_state": "present", "job_cleanup_cron_schedule": {"minute": "0", "hour": "3"}}
    assert fleet({"h": host(alerts={"cleanup_within": "25h"}, **variables)})["alerts"]["cleanup_within"] == "25h"
    assert fleet({"h": host(**{**variables, "job_cleanup_cron_schedule": {"minute": "30", "hour": "*"}})})


@pytest.mark.parametrize(
    "given, expected",
    [("15min", "15m"), ("1h 30min", "90m"), (43200, "12h"), ("90s", "90s"), ("0.2s", "1s"), ("2d", "2d")],
)
def test_durations_are_written_as_prometheus_reads_them(given, expected):
    assert prometheus_duration(given) == expected


def test_a_matcher_means_its_values_and_nothing_else():
    assert one_of("queue", ['say "hi" \\ {x}']) == r'queue="say \"hi\" \\ {x}"'
    assert one_of("instance", ["a.example.com", "b"]) == r'instance=~"a\\.example\\.com|b"'
