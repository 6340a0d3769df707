"""A host is broken in many ways at once: each alert fires, arrives, and goes away once its cause is mended."""

import pytest

STUCK_JOB = "INSERT OR REPLACE INTO jobs VALUES ('lost', 'processing', datetime('now', '-3 hours'))"
FAULTS = {
    "CeleryServiceDown": {"service": "unserved"},
    "CeleryServiceGivenUp": {"service": "given-up"},
    "CeleryServiceKeepsEnding": {"service": "given-up"},
    "CeleryServiceHung": {"service": "hung"},
    "CeleryServiceOutOfMemory": {"service": "eater"},
    "CeleryTasksFail": {"service": "failing", "task": "shop.sleep"},
    "CeleryQueueBacklog": {"queue": "unserved"},
    "CeleryQueueNotServed": {"queue": "unserved"},
    "JobsStuckForLong": {"database": "jobs"},
    "JournalDropsLines": {},
}
FAILED = {"service": "failing", "task": "shop.sleep", "outcome": "failed"}
# They look back for half an hour, whatever is set.
LONG = {"CeleryTasksFail"}


def clean_up(server):
    server.check_output("/usr/local/lib/evenkeel/cleanup_stuck_jobs.py --quiet")


@pytest.fixture(scope="module")
def failed_before(server, monitor):
    """How many tasks had failed before, by what Prometheus knows."""
    # Until the log has told of a task, it is not known that it tells of tasks.
    server.serve("failing")
    monitor.wait_for(lambda: monitor.value("evenkeel_tasks_total", **FAILED) is not None, "the first samples")
    return monitor.value("evenkeel_tasks_total", **FAILED)


@pytest.fixture(scope="module")
def broken(server, failed_before, sqlite):
    """A host of which all breaks at the same time."""
    server.keep_out_of_swap("eater")
    sqlite("/srv/app/jobs.db", STUCK_JOB, user="app")
    clean_up(server)
    server.check_output("/opt/shop/faults.py")
    return server


@pytest.mark.parametrize("alert", sorted(FAULTS, key=lambda alert: alert == "CeleryQueueNotServed"))
def test_an_alert_fires_and_arrives(broken, monitor, alert):
    if alert == "JournalDropsLines":  # journald tells of it with the next line that it takes
        monitor.wait_for(lambda: broken.serve("chatty") or monitor.fired(alert, "1h"), f"{alert} to fire")
    monitor.fires(alert, **FAULTS[alert])


def test_the_exporter_counts_all_queues_and_priorities(broken, monitor):
    """Debian 13's own check hides the queues after an empty one, and no version of it knows priorities."""
    broken.check_output("redis-cli -p 6380 lpush %s one two", "unserved\x06\x163")
    length = "evenkeel:queue_length"
    broken.wait_for(lambda: monitor.value(length, queue="unserved") == 12, "10 messages and 2 of another priority")
    assert monitor.value(length, queue="empty") == 0
    broken.check_output("redis-cli -p 6380 del %s", "unserved\x06\x163")


def test_counters_are_exact_although_the_journal_is_emptied(broken, failed_before, monitor):
    def failed():
        return monitor.value("evenkeel_tasks_total", **FAILED) - failed_before

    broken.wait_for(lambda: failed() == 6, "six failures")
    broken.check_output("journalctl --sync --rotate && journalctl --vacuum-size=1K")
    broken.call("sleep", "failing-again-", "failing", arguments=[1, 2, 3])
    broken.wait_for(lambda: failed() == 7, "one more failure")


@pytest.fixture(scope="module")
def mended(broken):
    broken.check_output("systemctl reset-failed given-up; systemctl start given-up unserved")
    clean_up(broken)
    return broken


@pytest.mark.parametrize("alert", sorted(set(FAULTS) - LONG))
def test_an_alert_ends_when_its_cause_is_mended(mended, monitor, alert):
    monitor.ends(alert, **FAULTS[alert])


def test_an_outage_of_the_broker(mended, monitor):
    alerts = {"CeleryBrokerDown": {}, "CeleryServiceDisconnected": {"service": "restarted"}}
    mended.check_output("systemctl stop broker@6380")
    try:
        for alert, labels in alerts.items():
            monitor.fires(alert, **labels)
    finally:
        mended.check_output("systemctl start broker@6380")
    for alert, labels in alerts.items():
        monitor.ends(alert, **labels)


def test_exporters_that_are_down(mended, monitor):
    exporters = "prometheus-node-exporter prometheus-redis-exporter"
    alerts = ("MonitoringMissing", "BrokerMonitoringMissing")
    mended.check_output(f"systemctl stop {exporters}")
    try:
        for alert in alerts:
            monitor.fires(alert)
    finally:
        mended.check_output(f"systemctl start {exporters}")
    for alert in alerts:
        monitor.ends(alert)


def test_four_restarts_by_hand_have_caused_no_alert(mended, monitor):
    """But for the outage of the broker, in which nothing is connected."""
    alerts = monitor.ask(
        f'last_over_time(ALERTS{{instance="{mended.name}",service="restarted",alertstate="firing"}}[1h])'
    )
    assert {labels["alertname"] for labels, _value in alerts} <= {"CeleryServiceDisconnected"}
