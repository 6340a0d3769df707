"""The application's code runs in checks and clean-ups that root started, and looks for whatever root has left it."""

import json
from pathlib import Path

import pytest

PLAYBOOK = "molecule/attacks/converge.yml"
SPY = Path(__file__).parent / "files/spy.py"
REPORT = "/srv/shop/data/spy.json"
DATABASE = "/srv/shop/data/spied.db"


@pytest.fixture
def spied(host):
    """Installs the spy as an application. Returns what it found since."""
    sql = "CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, updated_at TEXT)"
    host.check_output("printf %%s %s > /srv/shop/spy.py && rm -f %s*", SPY.read_text(), DATABASE)
    host.check_output("runuser --user shop -- sqlite3 %s %s", DATABASE, sql)

    def read():
        found = json.loads(host.check_output("cat %s", REPORT))
        host.check_output("rm %s", REPORT)
        return found

    host.run("rm -f %s", REPORT)
    return read


def is_nothing_but_the_user(found, host):
    shop = [int(host.check_output(f"id -{kind} shop")) for kind in "ug"]
    assert found["users"] == [shop[0]] * 4
    assert found["groups"] == [shop[1]] * 4
    assert found["capabilities"] == 0
    assert "ROOTS_SECRET" not in found["environment"]
    # Nothing that leads to a terminal, a file or a socket of root's.
    assert not [file for file in found["files"] if file.startswith(("/", "socket:")) and file != "/dev/null"]
    assert not any(found["succeeded"].values()), found["succeeded"]


def test_the_probe_inherits_nothing_of_roots(host, ansible_output, spied):
    more = {"app": "spy", "description": "spied"}
    ansible_output(PLAYBOOK, "--check", "--extra-vars", json.dumps({"more": more}))
    is_nothing_but_the_user(spied(), host)


def test_the_helper_of_a_clean_up_inherits_nothing_of_roots(host, spied):
    celery = {"app": "spy", "directory": "/srv/shop", "python": "/opt/shop/venv/bin/python", "timeout": "0.2s"}
    database = {"name": "jobs", "path": DATABASE, "table": "jobs", "celery": {**celery, "unreachable": "ignore"}}
    config = json.dumps({"databases": [database]})
    host.check_output("printf %%s %s > /root/spied.json", config)
    script = "/usr/local/lib/evenkeel/cleanup_stuck_jobs.py --config /root/spied.json --dry-run"
    host.run(f"ROOTS_SECRET=x {script} 7< /etc/shadow")
    is_nothing_but_the_user(spied(), host)
