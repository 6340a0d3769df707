"""Root's PATH begins with a directory of the application's, as sudoers and profiles of real servers have it."""

import json

import pytest

PLAYBOOK = "molecule/attacks/converge.yml"
PROGRAMS = (
    *("systemctl", "systemd-analyze", "systemd-run", "systemd-cat", "journalctl", "setpriv", "runuser", "flock"),
    *("mkswap", "swapon", "swapoff", "chattr", "crontab", "python3", "env", "celery", "kill"),
)
# What the application puts there: it writes as whom it was run.
STOLEN = "/tmp/stolen"
TRAP = f"""#!/bin/sh
echo "$0 $(/usr/bin/id -un)" >> {STOLEN}
exit 1
"""
SUDOERS = "/etc/sudoers.d/path"
CRON = "/etc/cron.d/evenkeel-job-cleanup"


@pytest.fixture
def trapped(host):
    """Programs of the application's that come first in root's PATH."""
    for program in PROGRAMS:
        host.check_output(
            "runuser --user shop -- sh -c 'printf %%s \"$1\" > $0; chmod 755 $0' %s %s",
            f"/srv/shop/bin/{program}",
            TRAP,
        )
    host.check_output("touch %s && chmod 666 %s", STOLEN, STOLEN)
    path = 'Defaults secure_path="/srv/shop/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"'
    host.check_output("echo %s > %s", path, SUDOERS)
    assert host.run("sudo systemctl --version").rc == 1
    host.check_output("truncate --size 0 %s", STOLEN)
    yield lambda: host.file(STOLEN).content_string
    host.check_output("rm -f %s %s /srv/shop/bin/*", SUDOERS, STOLEN)


def test_root_runs_no_program_of_the_applications(host, server, ansible_playbook, trapped):
    variables = {
        "databases": [{"name": "jobs", "path": "/srv/shop/data/path.db", "table": "jobs"}],
        "job_cleanup_cron_state": "present",
        "more": {"description": f"Another PATH, at {server.now()}"},
    }
    sql = "CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, updated_at TEXT)"
    host.check_output("rm -f %s; /usr/sbin/runuser --user shop -- sqlite3 %s %s", *["/srv/shop/data/path.db"] * 2, sql)
    assert ansible_playbook(PLAYBOOK, "--extra-vars", json.dumps(variables))["changed"]
    server.serve("victim")
    assert trapped() == ""


def test_cron_runs_no_program_of_the_applications(host, server, ansible_playbook, trapped):
    no_databases = {"job_cleanup_cron_state": "present", "evenkeel_take_over": ["jobs"]}  # so that it is root's
    ansible_playbook(PLAYBOOK, "--extra-vars", json.dumps(no_databases))
    user, command = host.check_output("tail -n 1 %s", CRON).split(None, 6)[5:]
    assert user == "root"
    environment = "PATH=/srv/shop/bin:/usr/bin:/bin PYTHONPATH=/srv/shop PYTHONSTARTUP=/srv/shop/shop.py"
    host.check_output(f"cd /srv/shop && /usr/bin/env -i {environment} /bin/sh -c %s", command)
    assert trapped() == ""


def test_the_swap_file_is_made_by_the_systems_programs(host, trapped):
    path = f"/mnt/swap/{host.backend.get_hostname()}-path"
    try:
        for state in ("present", "absent"):
            options = f"path={path} size=8M state={state}"
            assert host.ansible("evenkeel.celery.swapfile", options, check=False, become=True)["changed"]
        assert trapped() == ""
    finally:
        host.run("swapoff %s; rm -f %s", path, path)
