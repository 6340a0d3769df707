"""A worker's secrets can be read only by root and the worker."""

import json
from pathlib import Path

import pytest
import yaml

CONVERGE = "molecule/sandbox/converge.yml"
ROLE = yaml.safe_load(Path(__file__).with_name("converge.yml").read_text())[0]["roles"][0]
SECRETS = {"not-a-secret-of-ours", "nor-is-this-one-of-ours"}
# grep's own command line does not match.
EITHER = "'not-a-[s]ecret-of-ours|nor-is-[t]his-one-of-ours'"
FILES = f"grep -Esrla --devices=skip --exclude-dir=proc --exclude-dir=sys --exclude-dir=venv -e {EITHER} / | sort"
PROCESSES = f"grep -Esla -e {EITHER} /proc/[0-9]*/cmdline /proc/[0-9]*/environ | sort"
OTHERS_READ = ("systemctl show '*'", "systemctl cat 'slideshow*'", "ps axeww", "systemctl status 'slideshow*'")


@pytest.fixture(scope="module")
def output(host, ansible_output, tmp_path_factory):
    """The output of a run that gives one of the workers another secret."""
    slideshow, *others = ROLE["vars"]["all_of_them"]
    workers = [{**slideshow, "environment": {"TOKEN": "nor-is-this-one-of-ours"}}, *others]
    wish = tmp_path_factory.mktemp("wish") / "wish.json"
    wish.write_text(json.dumps({"workers": workers}))
    return ansible_output(CONVERGE, "-vvv", "--diff", "--extra-vars", f"@{wish}")


def test_ansible_shows_no_secret(output):
    assert "failed=0" in output, output
    assert "TOKEN" in output, "the diff contains the name of a changed variable"
    assert not [secret for secret in SECRETS if secret in output]


def test_only_root_reads_it(host, output):
    roots = host.check_output(FILES).splitlines()
    assert "/etc/evenkeel/slideshow.env" in roots
    generations = [path for path in roots if path.startswith("/var/lib/evenkeel/services/slideshow/generations/")]
    assert len(generations) == 2, roots
    assert host.check_output("sudo -u nobody sh -c %s", FILES) == ""
    assert host.check_output("sudo -u slideshow sh -c %s", FILES) == ""


def test_only_root_and_the_worker_itself_see_it_in_processes(host, output, show):
    worker = f"/proc/{show('slideshow', 'MainPID')['MainPID']}/environ"
    seen = host.check_output(PROCESSES).splitlines()
    assert worker in seen
    assert not [path for path in seen if path.endswith("cmdline")]
    assert host.check_output("sudo -u nobody sh -c %s", PROCESSES) == ""


@pytest.mark.parametrize("command", OTHERS_READ)
def test_no_other_user_can_read_it_from_systemd_or_ps(host, output, command):
    seen = host.check_output(f"sudo -u nobody {command}")
    assert "slideshow" in seen
    assert not [secret for secret in SECRETS if secret in seen]


def test_the_journal_contains_no_secret(host, output):
    journal = host.check_output("journalctl --no-pager --output=verbose")
    assert "celery_services" in journal, "what Ansible logs of its modules"
    assert not [secret for secret in SECRETS if secret in journal]
