"""Root's umask is 077 or 027, as hardening guides want: what others have to read is as readable as ever."""

import json

import pytest

PLAYBOOK = "molecule/attacks/converge.yml"
SHELL = "/usr/local/sbin/sh-with-umask"
OURS = "/usr/local/lib/evenkeel /etc/evenkeel /var/lib/evenkeel"
DATABASE = {"name": "jobs", "path": "/srv/shop/data/umask.db", "table": "jobs"}


@pytest.fixture(scope="module")
def converge(host, ansible_playbook):
    """Runs the roles with the given umask."""
    sql = "CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, updated_at TEXT)"

    def run(umask):
        host.check_output("rm -f %s; runuser --user shop -- sqlite3 %s %s", *[DATABASE["path"]] * 2, sql)
        shell = f'#!/bin/sh\\numask {umask}\\nexec /bin/sh "$@"\\n'
        host.check_output(f"printf %s > {SHELL} && chmod 755 {SHELL}", shell)
        variables = {
            "ansible_shell_executable": SHELL,
            "databases": [DATABASE],
            "job_cleanup_cron_state": "present",
        }
        return ansible_playbook(PLAYBOOK, "--extra-vars", json.dumps(variables))

    return run


def modes(host):
    """The mode and the owner of everything of ours, by its path."""
    found = host.check_output(f"find {OURS} /etc/systemd/system/victim.service /etc/cron.d -printf '%%p %%m %%u\\n'")
    return {path: mode for path, mode in (line.split(" ", 1) for line in found.splitlines()) if ".lock" not in path}


def remove(host):
    host.run("systemctl stop victim")
    host.check_output(f"rm -rf {OURS} /etc/systemd/system/victim.service && systemctl daemon-reload")


def check(server):
    server.serve("victim")
    script = server.host.run("runuser --user shop -- /usr/local/lib/evenkeel/cleanup_stuck_jobs.py --dry-run")
    assert (script.rc, script.stdout) == (0, "jobs: nothing is stuck.\n")


@pytest.fixture(scope="module")
def usual(host, converge):
    """The modes with the usual umask. Each test leaves everything deployed."""
    remove(host)
    converge("022")
    return modes(host)


@pytest.mark.parametrize("umask", ["077", "027"])
def test_everything_has_the_same_modes_with_any_umask(host, server, converge, usual, umask):
    remove(host)
    converge(umask)
    assert modes(host) == usual
    check(server)


def test_directories_that_a_umask_has_closed_are_opened_again(host, server, converge, usual):
    host.check_output("chmod 700 /usr/local/lib/evenkeel /usr/local/lib/evenkeel/* /etc/evenkeel /var/lib/evenkeel")
    host.check_output("rm /etc/systemd/system/victim.service /usr/local/lib/evenkeel/_engine/__init__.py")
    converge("077")
    check(server)
