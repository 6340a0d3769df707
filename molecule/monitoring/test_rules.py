"""promtool, as each release has it, tests the alert rules; and the cases notice mistakes in them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import alert_cases
import pytest
import rule_tests
import yaml

PROJECT = Path(__file__).parents[2]
HERE = Path(__file__).parent
# Not in /tmp, which is the container's own: `docker cp` does not reach it.
DIRECTORY, PROMTOOL = "/root/rules", "/root/promtool"
# The package is in the image, and need not be installed. Debian 13 has promtool in one of its own.
UNPACK = f"""
cd /var/cache/apt/archives && deb=$(ls prometheus_*.deb promtool_*.deb | tail -1) &&
dpkg-deb --fsys-tarfile "$deb" | tar --extract --to-stdout ./usr/bin/promtool > {PROMTOOL} && chmod +x {PROMTOOL}
"""
BROKERS = {"one": True, "each": False}

# In one process for all hosts: the rules are written once.
pytestmark = pytest.mark.xdist_group("rules")


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """What the role writes for inventory/imagineer: in `one` with one broker, in `each` with one on each host."""
    directory = tmp_path_factory.mktemp("rules")
    inventory = PROJECT / "inventory/imagineer/production"
    subprocess.run(
        [
            "ansible-playbook",
            HERE / "write_rules.yml",
            f"--inventory={inventory}",
            f"--extra-vars=directory={directory}",
        ],
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "default"},
        check=True,
        capture_output=True,
    )
    return directory


@pytest.fixture(scope="module")
def promtool(host):
    """Runs promtool on the host, on files of the controller."""
    host.check_output(UNPACK)

    def run(directory, *arguments):
        name = host.backend.get_hostname()
        host.check_output(f"rm -rf {DIRECTORY}")
        subprocess.run(["docker", "cp", "--quiet", f"{directory}/.", f"{name}:{DIRECTORY}"], check=True)
        return host.run(f"cd {DIRECTORY} && {PROMTOOL} {' '.join(arguments)}")

    return run


def succeeded(result):
    """The tests that promtool found in order."""
    return set(re.findall(r"Unit Testing:\s+(\S+)\n\s+SUCCESS", result.stdout))


def test_the_rules_and_the_documented_configuration_are_valid(written, promtool, tmp_path):
    documented = re.search(r"(?ms)^```yaml\n(rule_files:.*?)^```", (PROJECT / "docs/monitoring.md").read_text())[1]
    (tmp_path / "prometheus.yml").write_text(documented)
    shutil.copytree(written / "one", tmp_path / "evenkeel")
    result = promtool(tmp_path, "check config prometheus.yml")
    assert result.rc == 0, result.stdout + result.stderr
    assert len(re.findall("rules found", result.stdout)) == len(list((tmp_path / "evenkeel").glob("*.rules.yml")))


@pytest.mark.parametrize("broker", BROKERS)
def test_every_alert_fires_when_it_should_and_raises_no_false_alarm(broker, written, promtool, tmp_path):
    cases = alert_cases.cases(shared_broker=BROKERS[broker])
    files = rule_tests.correct(tmp_path, rule_tests.rules_of(written / broker), cases)
    result = promtool(tmp_path, "test rules", *files)
    assert result.rc == 0, result.stdout + result.stderr
    assert succeeded(result) == set(files)


@pytest.mark.parametrize("broker", BROKERS)
def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(broker, written):
    cases = alert_cases.cases(shared_broker=BROKERS[broker])
    tested = {(check["alertname"], bool(check["exp_alerts"])) for case in cases for check in case.checks}
    alerts = rule_tests.by_alert(rule_tests.rules_of(written / broker))
    assert tested == {(alert, fires) for alert in alerts for fires in (True, False)}


def test_a_mistake_in_a_rule_does_not_go_unnoticed(written, promtool, tmp_path, host):
    if not host.backend.get_hostname().endswith("debian13"):
        pytest.skip("once is enough")
    rules, cases = rule_tests.rules_of(written / "one"), alert_cases.cases(shared_broker=True)
    files = rule_tests.mistaken(tmp_path, rules, cases)
    right = succeeded(promtool(tmp_path, "test rules", *(file for each in files.values() for file in each)))
    assert [mistake for mistake in files if right.issuperset(files[mistake])] == []


def test_every_expression_of_the_dashboard_is_valid(written, promtool, tmp_path):
    panels = json.loads((written / "one/dashboard.json").read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    for name, value in {"$__rate_interval": "2m", "$__range": "1d", "$instance": ".*", "$service": ".*"}.items():
        expressions = [expression.replace(name, value) for expression in expressions]
    rules = [{"record": f"panel{number}", "expr": expression} for number, expression in enumerate(expressions)]
    (tmp_path / "dashboard.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    result = promtool(tmp_path, "check rules dashboard.yml")
    assert result.rc == 0, result.stdout + result.stderr
    assert f"{len(rules)} rules found" in result.stdout
