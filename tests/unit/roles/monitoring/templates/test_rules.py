"""The alert rules as they are rendered, and what else names metrics: the dashboard, the console page, the runbook."""

import json
import re

import pytest
import yaml
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.metrics import (
    METRICS,
    OUTCOMES,
    REASONS,
    STATES,
)
from project import PROJECT
from rendered_rules import GROUPS, host, parsed, render

IMAGINEER = PROJECT / "inventory/imagineer/production/group_vars"
ROLE = PROJECT / "roles/monitoring"
LABELS = {metric.name: {*metric.labels, "instance"} for metric in METRICS}
VALUES = {"state": set(STATES), "reason": set(REASONS), "outcome": set(OUTCOMES)}
METRIC = re.compile(r"\b((?:evenkeel|stuck_jobs)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)=~?[\"']([^\"']*)[\"']")


def imagineer():
    """The hosts of inventory/imagineer."""
    common, training, services = (
        yaml.safe_load((IMAGINEER / f"{name}.yml").read_text()) for name in ("celery_workers", "training", "services")
    )
    common["monitoring_scrape_address"] = ""
    workers = {"gpu1": training, "api1": services}
    variables = {name: {**common, **workers[name], "job_cleanup_cron_state": "present"} for name in workers}
    return {
        name: host(**{each.removeprefix("monitoring_"): value for each, value in variables[name].items()})
        for name in workers
    }


RULES = parsed(imagineer())
ALERTS = [rule for rule in RULES if "alert" in rule]
EXPRESSIONS = [rule["expr"] for rule in RULES]
PANELS = json.loads((ROLE / "files/dashboard.json").read_text())["panels"]
PAGES = [(ROLE / "files/console.html").read_text(), *((PROJECT / f"docs/{name}.md").read_text() for name in ["alerts"])]


def expressions_of(panels):
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


@pytest.mark.parametrize("text", [*EXPRESSIONS, *expressions_of(PANELS), *PAGES])
def test_every_metric_and_label_is_one_that_is_measured(text):
    for name, matchers in METRIC.findall(text):
        assert name in LABELS
        for label, values in MATCHER.findall(matchers):
            assert label in LABELS[name]
            if label in VALUES:
                assert set(values.split("|")) <= VALUES[label]


def test_the_three_alerts_of_imagineers_document():
    rules = {(rule["alert"], rule["labels"].get("queue") or rule["labels"].get("task")): rule for rule in ALERTS}
    for queue in ("scraping", "labeling"):
        backlog = rules["CeleryQueueBacklog", queue]
        assert re.search(rf'\(evenkeel:queue_length{{.*queue="{queue}"}}\) > 25$', backlog["expr"])
        assert backlog["for"] == "15m"
    idle = rules["CeleryQueueIdle", "training"]
    assert 'min_over_time(evenkeel_campaign{instance=~"gpu1|api1",queue="training"}[6h])' in idle["expr"]
    overdue = rules["CeleryTaskOverdue", "server.tasks.maintenance.record_disk_usage"]
    assert overdue["expr"].endswith(f"> {12 * 3600}")
    assert {rule["labels"]["severity"] for rule in (backlog, idle, overdue)} == {"page"}
    assert ("CeleryQueueBacklog", "default") not in rules


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_urgent_it_is_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    page, anchor = rule["annotations"]["runbook_url"].split("#")
    assert page == "https://github.com/evenkeel/celery/blob/main/docs/alerts.md"
    assert anchor == rule["alert"].lower()


def test_every_alert_has_its_place_in_the_runbook_and_no_other_has():
    headings = re.findall(r"(?m)^### (\w+)$", (PROJECT / "docs/alerts.md").read_text())
    assert sorted(headings) == sorted({rule["alert"] for rule in ALERTS})


def test_the_console_page_and_the_dashboard_show_every_alert():
    pages = [(ROLE / f"files/{name}").read_text() for name in ("console.html", "dashboard.json")]
    patterns = [re.search(r"alertname=~\\?[\"']([^\"'\\]+)", page)[1] for page in pages]
    for rule in ALERTS:
        assert all(re.fullmatch(pattern, rule["alert"]) for pattern in patterns)


def test_every_alert_is_limited_to_the_hosts_of_the_inventory():
    for rule in ALERTS:
        assert "api1" in rule["expr"] or "gpu1" in rule["expr"]


def test_rules_of_one_name_differ_in_their_labels():
    seen = [(rule.get("alert"), *sorted(rule.get("labels", {}).items())) for rule in RULES]
    assert len(seen) == len(set(seen))


def test_odd_names_stay_names():
    name = 'a: "b" \\ ]]%s{x}|# é'
    hosts = {"h": host(queues=[{"name": name, "backlog": 1}], celery_worker_instances=[{"name": name}])}
    backlog = next(rule for rule in parsed(hosts) if rule.get("alert") == "CeleryQueueBacklog")
    assert backlog["labels"]["queue"] == name
    assert json.dumps(name, ensure_ascii=False) in backlog["expr"]


def test_without_redis_the_queues_are_those_of_rabbitmq():
    queues = {"queues": [{"name": "q", "backlog": 1}], "celery_worker_instances": [{"name": "w"}]}
    rules = parsed({"h": host(exporters=["node"], **queues)})
    assert any("rabbitmq_queue_messages_ready" in rule["expr"] for rule in rules)
    assert not any("redis_" in rule["expr"] for rule in rules)
    assert any('{queue="q"}' in rule["expr"] for rule in rules)
    assert any(rule["expr"] == 'absent(evenkeel:queue_length{queue="q"})' for rule in rules)


def test_a_project_has_its_name_on_alerts_that_name_no_host():
    queues = {"queues": [{"name": "q", "backlog": 1}], "celery_worker_instances": [{"name": "w"}]}
    backlog = next(r for r in parsed({"h": host(**queues)}, "shop") if r.get("alert") == "CeleryQueueBacklog")
    assert backlog["labels"]["project"] == "shop"


def test_the_role_writes_every_group_of_rules():
    assert sorted(yaml.safe_load((ROLE / "vars/main.yml").read_text())["__monitoring_rules"]) == GROUPS
    for text in render(imagineer()).values():
        assert "<<" not in text


def test_no_panel_of_the_dashboard_covers_another():
    cells = set()
    for panel in PANELS:
        grid = panel["gridPos"]
        covered = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert grid["x"] + grid["w"] <= 24
        assert not covered & cells
        cells |= covered
