"""Log files beside the journal: complete while logrotate is at work, private, and no way for a user to mislead root."""

import json

import pytest

PLAYBOOK = "molecule/celery_worker/log_files.yml"
CONVERGE = "molecule/celery_worker/converge.yml"
WORKER, BEAT = "noisy-worker", "noisy-beat"
LOGS = f"/var/log/evenkeel/{WORKER}"
LOG, BEATS_LOG = f"{LOGS}/{WORKER}.log", "/var/log/noisy/beat.log"
TASKS, LINES = 100, 300
SEND = f"import noisy; [noisy.log.delay(number, {LINES}) for number in range({TASKS})]"
NUMBERS = "grep --only-matching --no-filename --extended-regexp 'line [0-9]{4}-[0-9]{4}'"


@pytest.fixture(scope="module")
def deployed(ansible_playbook):
    ansible_playbook(PLAYBOOK)


def configuration(service):
    return f"/etc/logrotate.d/evenkeel-{service}.conf"


def rotate(host, path):
    """As logrotate.service does it: as root. It must not wait for anything."""
    return host.run("timeout --kill-after=5 60 logrotate --force --state /run/rotated %s", path)


def test_no_line_is_lost_while_logrotate_renames_the_file_again_and_again(host, server, deployed, noted):
    run = server.run_of(WORKER).id
    # All of them are kept, so that they can be counted.
    host.check_output("sed 's/rotate 8/rotate 9999/' %s > /root/rotate.conf", configuration(WORKER))
    broker = "CELERY_BROKER_URL=redis://:not-a-secret-of-ours@127.0.0.1:6379/3"
    host.check_output(f"cd /opt/slideshow/backend && {broker} ../venv/bin/python -c %s", SEND)
    rotations = []

    def done():
        rotations.append(rotate(host, "/root/rotate.conf"))
        return host.check_output(f"cat {LOG}* | grep --count 'noisy.log.* succeeded in' || true") == str(TASKS)

    server.wait_for(done, "all tasks to have written their lines")
    noted("log files: rotations while 30000 lines were written", len(rotations))
    assert not [each for each in rotations if each.rc or each.stderr]
    assert len(rotations) > 2
    written = host.check_output(f"{NUMBERS} {LOG}* | sort | uniq --count | awk '{{print $1}}' | sort | uniq --count")
    assert written.split() == [str(TASKS * LINES), "1"], "each line once"
    in_the_journal = host.check_output(
        f"journalctl --sync && journalctl --no-pager --output=cat --unit={WORKER} | {NUMBERS} | sort --unique | wc -l"
    )
    assert in_the_journal == str(TASKS * LINES), "log_rate_limit"
    assert server.run_of(WORKER).id == run, "no restart"


def test_the_file_of_another_user_in_a_directory_of_its_own_is_renamed_too(host, server, deployed):
    run = server.run_of(BEAT).id
    server.wait_for(lambda: host.file(BEATS_LOG).exists, "beat to log something")
    old = host.file(BEATS_LOG).inode
    assert not rotate(host, configuration(BEAT)).stderr
    assert host.file(f"{BEATS_LOG}.1").inode == old
    server.wait_for(lambda: "Sending due task" in host.run(f"cat {BEATS_LOG}").stdout, "beat to open a new file")
    assert server.run_of(BEAT).id == run, "no restart"


def test_only_the_services_user_and_root_read_its_log(host, deployed):
    found = host.check_output(f"stat --format='%U:%G %a' {LOGS} {LOG}.1 {BEATS_LOG}.1").splitlines()
    assert found == ["slideshow:slideshow 750", "slideshow:slideshow 640", "www-data:www-data 600"]
    assert host.run(f"sudo -u www-data cat {LOG}.1").rc
    assert host.run(f"sudo -u slideshow cat {BEATS_LOG}.1").rc


def test_the_hosts_own_rotation_includes_them(host, deployed):
    planned = host.run("logrotate --debug /etc/logrotate.conf")
    assert not planned.rc
    assert f"rotating pattern: {LOG}" in planned.stderr
    assert f"rotating pattern: {BEATS_LOG}" in planned.stderr
    assert "error:" not in planned.stderr


def test_a_user_that_puts_something_else_in_its_place_misleads_root_to_nothing(host, deployed):
    """A link to a file of root's, and FIFOs at which root would wait."""
    host.check_output("echo of root > /root/kept && chmod 600 /root/kept")
    as_user = "sudo -u slideshow sh -c %s"
    host.check_output(
        as_user, f"cd {LOGS} && rm -f * && ln -s /root/kept {WORKER}.log && ln -s /root/kept {WORKER}.log.1"
    )
    assert rotate(host, configuration(WORKER)).rc not in (124, 137)
    host.check_output(as_user, f"cd {LOGS} && rm -f * && mkfifo {WORKER}.log {WORKER}.log.1 {WORKER}.log.2")
    assert rotate(host, configuration(WORKER)).rc not in (124, 137)
    host.check_output(as_user, f"rm -f {LOGS}/*")
    assert host.check_output("cat /root/kept; stat --format='%U %a' /root/kept; ls /root/kept*") == (
        "of root\nroot 600\n/root/kept"
    )


def test_a_log_file_that_can_not_be_written_is_refused(host, ansible_output):
    host.check_output("touch /var/log/noisy/of-root.log")
    workers = [
        {"name": "nowhere", "log_file": "/var/log/nowhere/worker.log"},
        {"name": "of-root", "user": "www-data", "writable_paths": [], "log_file": "/var/log/noisy/of-root.log"},
        {"name": "of-another", "log_file": "/var/log/noisy/of-another.log"},
    ]
    output = ansible_output(CONVERGE, "--check", "--extra-vars", json.dumps({"workers": workers}))
    output = " ".join(output.split())
    assert "nowhere: the directory of log_file '/var/log/nowhere' does not exist on this host." in output
    assert "of-root: log_file '/var/log/noisy/of-root.log' can't be written by user www-data: " in output
    assert "of-another: the directory of log_file '/var/log/noisy' can't be written by user slideshow: " in output
    assert not host.file("/var/log/noisy/of-another.log").exists


def test_a_failed_start_shows_its_cause_although_it_is_far_above_the_last_line(host, ansible_playbook):
    broker = "redis://:not-a-secret-of-ours@127.0.0.1:6379/3"
    refusing = {"name": "refusing", "app": "noisy", "environment": {"CELERY_BROKER_URL": broker, "NOISY_REFUSES": "1"}}
    with pytest.raises(
        AssertionError, match=r"refusing did not start: .* It was rolled back\. It did not run before"
    ) as failed:
        ansible_playbook(CONVERGE, "--extra-vars", json.dumps({"workers": [refusing]}))
    message = str(failed.value)
    assert "OSError: [Errno 30] Read-only file system: '/srv/noisy.log'" in message
    assert message.index("Errno 30") < message.index("ValueError: Unable to configure handler 'file'")
    assert "not-a-secret-of-ours" not in message
