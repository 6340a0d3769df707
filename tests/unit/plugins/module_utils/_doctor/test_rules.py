"""Each of the doctor's rules: where it comes, with which severity, and where it does not."""

import re

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.facts import NOTHING_KNOWN, read
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.findings import Service, of_services
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.rules import RULES
from workers import beat, worker

# What a healthy worker on Debian's Redis says, with results.
HEALTHY = {
    "settings": {
        "tasks": 3,
        "late": 0,
        "requeued": 0,
        "late_requeued": 0,
        "eager": False,
        "limit": 0,
        "own_limit": 0,
        "late_own_limit": 0,
        "late_without_own_limit": False,
        "prefetch": 4,
        "accepted": ["json"],
        "transport": "redis",
        "visibility_timeout": 3600,
        "results": "redis",
        "storing": 3,
        "results_expire": 86400,
        "nodes": {"w@%h": "w@vps"},
        "default_queues": ["celery"],
        "routes": {"celery": "shop.add"},
    },
    "versions": {"celery": "5.6.3", "kombu": "5.6.2", "redis": "6.4.0"},
    "redis": {
        "version": "8.0.2",
        "memory": 2**20,
        "max_memory": 0,
        "policy": "noeviction",
        "evicted": 0,
        "append_only": False,
        "snapshots": True,
        "failed_to_save": False,
        "has_results": True,
        "caches": [],
        "others": 0,
    },
    "service": {"node": "w@vps", "queues": ["celery"], "processors": 2, "cpu": 10, "up": 86400},
}
LATE = {"late": 1, "late_requeued": 1, "requeued": 1, "late_own_limit": 7200}
FULL = {"memory": 95, "max_memory": 100}


def found(options=(), of=worker, **facts):
    """The rules that say something of a service that is healthy but for these facts."""
    together = {section: {**HEALTHY.get(section, {}), **facts.get(section, {})} for section in NOTHING_KNOWN}
    known = read(together)
    assert all(known[section] == together[section] for section in facts)  # the facts have their form
    return of_services(RULES, [Service(of(**dict(options)), known)])


def busy_worker(name, **about):
    return {
        "name": name,
        "count": 1,
        "queues": ["celery"],
        "ours": True,
        "uptime": 3600,
        "received": 9,
        "processes": 2,
        "active": 2,
        "reserved": 4,
        "longest": 300,
        **about,
    }


IDLE = {"active": 0, "reserved": 0, "longest": 0}


def test_a_healthy_worker_has_no_trap():
    assert found() == []


def test_nothing_is_said_of_what_is_not_known():
    assert of_services(RULES, [Service(worker(), NOTHING_KNOWN)]) == []


@pytest.mark.parametrize(
    ("rule", "severity", "words", "case"),
    [
        ("visibility_timeout", "serious", "may take 2h, but after visibility_timeout, 1h", {"settings": LATE}),
        (
            "visibility_timeout",
            "serious",
            "visibility_timeout: 10800",
            {
                "settings": {**LATE, "late_own_limit": 0, "late_without_own_limit": True},
                "options": {"time_limit": "2h", "prefetch_multiplier": 1},
            },
        ),
        (
            "visibility_timeout_reserved",
            "warning",
            "reserves 4 messages, and a task may take 30min",
            {"settings": {**LATE, "late_own_limit": 1800}},
        ),
        ("visibility_timeout_reserved", "hint", "may wait 2h", {"options": {"time_limit": "30min"}}),
        (
            "redis_evicts_queues",
            "serious",
            "Redis has maxmemory-policy allkeys-lru. When its memory, 100M, is full",
            {"redis": {"policy": "allkeys-lru", "max_memory": 100 * 2**20}},
        ),
        (
            "redis_evicts_queues",
            "serious",
            "It has dropped 7 keys since its start.",
            {"redis": {"policy": "allkeys-random", "max_memory": 100, "evicted": 7}},
        ),
        ("redis_evicts_queues", "hint", "As soon as it has a maxmemory", {"redis": {"policy": "allkeys-lfu"}}),
        (
            "redis_evicts_results",
            "warning",
            "it drops results before they expire",
            {"redis": {"policy": "volatile-lru", "max_memory": 100}},
        ),
        ("redis_evicts_results", "hint", "volatile-ttl", {"redis": {"policy": "volatile-ttl"}}),
        ("redis_almost_full", "serious", "95% of its maxmemory, 100. When it is full, it refuses", {"redis": FULL}),
        ("redis_not_persistent", "warning", "Redis saves nothing", {"redis": {"snapshots": False}}),
        ("redis_failed_to_save", "serious", "could not save its data", {"redis": {"failed_to_save": True}}),
        ("cache_beside_queues", "serious", "cache default is in the broker's", {"redis": {"caches": ["default"]}}),
        ("cache_beside_queues", "warning", "has 150 or more values that are not", {"redis": {"others": 150}}),
        ("results_never_expire", "warning", "3 tasks store their results (redis)", {"settings": {"results_expire": 0}}),
        (
            "requeued_forever",
            "warning",
            "are set for all tasks",
            {"settings": {"late": 3, "requeued": 3, "late_requeued": 3}},
        ),
        ("requeued_without_late", "warning", "is set for 2 of 3 tasks without", {"settings": {"requeued": 2}}),
        ("requeued_without_late", "warning", "is set for all tasks without", {"settings": {"requeued": 3}}),
        ("late_not_requeued", "hint", "acks_late is set for 1 of 3 tasks", {"settings": {"late": 1}}),
        (
            "reserved_behind_long",
            "warning",
            "reserved 4 messages, which wait behind tasks that have been active for up to 5min. other@vps2 consumes",
            {"workers": {"workers": [busy_worker("w@vps"), busy_worker("other@vps2", **IDLE)]}},
        ),
        (
            "too_many_processes",
            "warning",
            "8 tasks run at once on 2 processors, and have kept 1.9 of them busy",
            {"service": {"cpu": 1.9 * 86400}, "options": {"concurrency": 8}},
        ),
        ("known_faults", "warning", "kombu 5.3.7 has a known fault: after Redis was", {"versions": {"kombu": "5.3.7"}}),
        ("known_faults", "warning", "Celery 5.3.3 has a known fault", {"versions": {"celery": "5.3.3"}}),
        ("known_faults", "warning", "redis-py 4.5.5 has a known fault", {"versions": {"redis": "4.5.5"}}),
        (
            "known_faults",
            "warning",
            "redis-py 4.5.5 has a known fault: a worker may end",
            {"versions": {"redis": "4.5.5"}, "settings": {"transport": "amqp"}},  # results are in Redis
        ),
        (
            "late_not_requeued",
            "hint",
            "in both cases, write settings: {task_retry_on_worker_lost: true",
            {"settings": {"late": 1}, "versions": {"celery": "5.7.0"}},
        ),
        (
            "late_not_requeued",
            "hint",
            "in both cases, set reject_on_worker_lost for those",
            {"settings": {"late": 1}, "versions": {"celery": "5.6.3"}},
        ),
        (
            "pickle",
            "warning",
            "First set task_serializer: json in whatever sends tasks. When no pickled message waits",
            {"settings": {"accepted": ["pickle"]}},
        ),
        (
            "redis_not_persistent",
            "warning",
            "In redis.conf, or the provider's parameter group: appendonly yes",
            {"redis": {"snapshots": False}},
        ),
        ("known_faults", "hint", "Celery 5.5.3 has a known fault", {"versions": {"celery": "5.5.3"}}),
        ("always_eager", "warning", "task_always_eager is on", {"settings": {"eager": True}}),
        ("pickle", "warning", "accept_content has pickle", {"settings": {"accepted": ["json", "pickle"]}}),
        (
            "visibility_timeout_eta",
            "serious",
            "Task shop.remind in queue mail has an ETA or countdown of 1d 1h",
            {"etas": {"longest": {"seconds": 90000, "task": "shop.remind", "queue": "mail"}}},
        ),
        (
            "rabbitmq_timeout",
            "hint",
            "RabbitMQ 3.12.1 closes the channel of a worker",
            {
                "settings": {**LATE, "transport": "amqp", "visibility_timeout": 99999},
                "rabbitmq": {"version": "3.12.1"},
            },
        ),
    ],
)
def test_a_rule_comes(rule, severity, words, case):
    traps = [finding for finding in found(**case) if finding.rule == rule]
    assert [finding.severity for finding in traps[:1]] == [severity]
    assert words in traps[0].sentence


@pytest.mark.parametrize(
    ("rule", "case"),
    [
        ("visibility_timeout", {"settings": {**LATE, "visibility_timeout": 7200}}),
        ("visibility_timeout", {"settings": {"own_limit": 7200}}),  # acknowledged when it begins
        ("visibility_timeout", {"settings": {**LATE, "late_own_limit": 60}, "options": {"time_limit": "2h"}}),
        ("visibility_timeout_reserved", {"settings": {**LATE, "late_own_limit": 1800, "prefetch": 1}}),
        ("visibility_timeout_reserved", {"options": {"time_limit": "30min", "prefetch_multiplier": 1}}),
        ("visibility_timeout_reserved", {"options": {"time_limit": "10min"}}),
        ("visibility_timeout_eta", {"etas": {"longest": {"seconds": 3600, "task": "t", "queue": "q"}}}),
        ("rabbitmq_timeout", {"settings": LATE, "rabbitmq": {"version": "3.8.9"}}),
        ("rabbitmq_timeout", {"settings": {"own_limit": 7200}, "rabbitmq": {"version": "3.12.1"}}),
        ("redis_evicts_queues", {"redis": {"policy": "volatile-lru", "max_memory": 100}}),
        ("redis_evicts_results", {"redis": {"policy": "volatile-lru", "max_memory": 100, "has_results": False}}),
        ("redis_evicts_results", {"redis": {"policy": "volatile-lru", "max_memory": 100}, "settings": {"storing": 0}}),
        ("redis_almost_full", {"redis": {"memory": 80, "max_memory": 100}}),
        ("redis_not_persistent", {"redis": {"snapshots": False, "append_only": True}}),
        ("cache_beside_queues", {"redis": {"others": 20}}),
        ("results_never_expire", {"settings": {"results_expire": 0, "storing": 0}}),
        ("requeued_forever", {"settings": {"late": 3, "requeued": 2, "late_requeued": 2}}),
        ("requeued_forever", {"settings": {"tasks": 0}}),
        (
            "requeued_forever",
            {"settings": {"late": 3, "requeued": 3, "late_requeued": 3}, "options": {"pool": "threads"}},
        ),
        ("late_not_requeued", {"settings": {"late": 1}, "options": {"pool": "solo"}}),
        ("late_not_requeued", {"settings": {"late": 2, "requeued": 2, "late_requeued": 2}}),
        ("reserved_behind_long", {"workers": {"workers": [busy_worker("w@vps"), busy_worker("other@vps2")]}}),
        (
            "reserved_behind_long",
            {"workers": {"workers": [busy_worker("w@vps", longest=5), busy_worker("o@vps2", **IDLE)]}},
        ),
        (
            "reserved_behind_long",
            {"workers": {"workers": [busy_worker("w@vps"), busy_worker("o@vps2", queues=["mail"], **IDLE)]}},
        ),
        (
            "reserved_behind_long",  # which of the two has reserved them is not known
            {"workers": {"workers": [busy_worker("w@vps", count=2), busy_worker("o@vps2", **IDLE)]}},
        ),
        ("too_many_processes", {"service": {"cpu": 1.9 * 86400}, "options": {"concurrency": 2}}),
        ("too_many_processes", {"service": {"cpu": 86400}, "options": {"concurrency": 8}}),
        ("too_many_processes", {"service": {"cpu": 1000, "up": 500}, "options": {"concurrency": 8}}),
        ("known_faults", {"versions": {"kombu": "5.4.0"}}),
        ("known_faults", {"versions": {"kombu": "5.3.7"}, "settings": {"transport": "amqp"}}),
        ("known_faults", {"versions": {"redis": "4.5.5"}, "settings": {"transport": "amqp", "results": "database"}}),
        (
            "visibility_timeout_reserved",
            {"settings": {"disable_prefetch": True}, "options": {"time_limit": "30min", "prefetch_multiplier": 4}},
        ),
        (
            "reserved_behind_long",
            {
                "settings": {"disable_prefetch": True},
                "workers": {"workers": [busy_worker("w@vps"), busy_worker("other@vps2", **IDLE)]},
            },
        ),
    ],
)
def test_a_rule_does_not_come(rule, case):
    assert rule not in [finding.rule for finding in found(**case)]


def test_a_beat_with_the_same_application_has_none_of_its_workers_traps():
    late = {"late": 3, "late_requeued": 2, "requeued": 3, "late_own_limit": 7200, "own_limit": 7200}
    facts = {
        "settings": {**late, "results_expire": 0, "accepted": ["pickle"], "eager": True},
        "etas": {"longest": {"seconds": 90000, "task": "shop.remind", "queue": "mail"}},
        "redis": {"failed_to_save": True},
        "versions": {"kombu": "5.3.7"},
    }
    of_both = {"redis_failed_to_save", "known_faults", "always_eager"}
    assert {finding.rule for finding in found(of=beat, **facts)} == of_both
    assert {finding.rule for finding in found(**facts)} > of_both


def test_a_rule_that_is_ignored_is_not_said():
    service = Service(worker(), read({"redis": {"snapshots": False, "append_only": False}}))
    assert len(of_services(RULES, [service])) == 1
    assert of_services(RULES, [service], ["redis_not_persistent"]) == []


def test_what_is_the_same_for_several_services_is_said_once_the_worst_first():
    facts = read({"redis": {"snapshots": False, "append_only": False, "failed_to_save": True}})
    findings = of_services(RULES, [Service(worker(name=name), facts) for name in ("a", "b")])
    assert [finding.severity for finding in findings] == ["serious", "warning"]
    assert [finding.where for finding in findings] == [("a", "b")] * 2
    assert findings[0].sentence.startswith("a, b: Redis could not save")
    assert findings[0].sentence.endswith("(docs/doctor.md, redis_failed_to_save)")


def test_a_rule_has_a_line_of_its_own_and_a_source():
    assert len({rule.line for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES)
    assert all(re.fullmatch("[a-z_]+", rule.name) and rule.source.startswith("https://") for rule in RULES)
