"""The slideshow at work: its worker's child is killed three times, while cron and the module both clean up."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

KILLS = 3
ENOUGH = "/tmp/enough-jobs"
DATABASE = "/opt/slideshow/data/jobs.db"
POST = f"""
until test -e {ENOUGH}; do
    curl --silent --show-error --fail --json '{{"images": 1}}' http://127.0.0.1:8080/api/jobs || exit
    sleep 1
done
"""
# The worker's child is stopped while its job is read, so that it is killed with that job.
KILL = f"""
child() {{ pkill -$1 --parent $(systemctl show --value --property MainPID celery-worker); }}
job() {{ sqlite3 -readonly {DATABASE} "SELECT id FROM jobs WHERE status = 'processing'"; }}
until child STOP && now=$(job) && test -n "$now"; do child CONT; sleep 0.2; done
child KILL
echo $now
"""
CRON = "SYSLOG_IDENTIFIER=evenkeel-job-cleanup"
# The jobs that were reset since a time, from the records of all clean-ups.
PUT_BACK = """
import pathlib, sys
sys.path.insert(0, "/usr/local/lib/evenkeel")
from _engine._stuck_jobs.record import read
for path in pathlib.Path("/var/lib/evenkeel/job_cleanup/slideshow").glob("jobs-*.jsonl*"):
    if path.stat().st_mtime >= float(sys.argv[1]):
        print(*(job[0].key["id"] for batch in read(path)[1] for job in batch.jobs), sep="\\n")
"""


@pytest.fixture
def cleaners(ansible_playbook, tmp_path):
    """Cron and the module clean up until this is called, or the test has failed."""
    enough = tmp_path / "enough"
    with ThreadPoolExecutor() as pool:
        run = pool.submit(ansible_playbook, "molecule/default/clean_up.yml", f"--extra-vars=enough={enough}")

        def stop():
            enough.touch()
            run.result()

        yield stop
        stop()


@pytest.fixture
def jobs_with(sqlite):
    """The ids of the jobs with a status."""
    return lambda status: set(sqlite(DATABASE, f"SELECT id FROM jobs WHERE status = '{status}'").split())


def test_no_job_is_lost_and_none_is_done_twice(server, cleaners, jobs_with, wait_for):
    begun = server.now()
    server.check_output("curl --silent --fail --request POST 'http://127.0.0.1:8089/reset?rpm=6000&scale=1'")
    orders = server.host.file("/etc/evenkeel/job_cleanup.json")
    wait_for(lambda: "5s" in orders.content_string, "cron's new orders")
    server.check_output("rm -f %s", ENOUGH)
    with ThreadPoolExecutor() as pool:
        posting = pool.submit(server.check_output, POST)
        try:
            killed = [_kill(server, jobs_with, wait_for) for _ in range(KILLS)]
        finally:
            server.check_output("touch %s", ENOUGH)
        jobs = {json.loads(line)["id"] for line in posting.result().splitlines()}
    wait_for(lambda: not jobs - jobs_with("completed"), "all jobs to be done")
    cleaners()

    put_back = server.check_output("python3 -B -c %s %s", PUT_BACK, str(begun)).split()
    assert sorted(put_back) == sorted(killed), "reset: each killed job, once"
    succeeded = r"Task tasks.make_slideshow\[.* succeeded"
    services = ("celery-worker", "slideshow-web")
    wait_for(lambda: len(re.findall(succeeded, server.journal(*services, since=begun))) >= len(jobs), "each to be done")
    journal = server.journal(*services, since=begun)
    assert len(re.findall(succeeded, journal)) == len(jobs), "done once each"
    assert "database is locked" not in journal
    wait_for(lambda: "jobs: " in server.journal(CRON, since=begun), "cron's cleaner")
    assert "is still running" not in server.journal(CRON, since=begun)


def _kill(server, jobs_with, wait_for):
    """The id of the job whose worker was killed, after it was reset."""
    killed = server.check_output("timeout 300 sh -c %s", KILL).strip()
    wait_for(lambda: killed not in jobs_with("processing"), "the job to be reset")
    return killed
